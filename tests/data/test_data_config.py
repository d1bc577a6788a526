"""The data section of a configuration."""

from pathlib import Path

import pytest

from nas.data import AugmentConfig, DataConfig
from nas.errors import UserError
from nas.space.skeleton import Skeleton

LSP = {"annotations": "lsp/annotations/crowdpose14_train.json", "images": "lsp/images", "first": 30}


def test_real_sources_are_loaded_below_the_root(shared_data: Path) -> None:
    config = DataConfig.read(
        {
            "root": str(shared_data),
            "train": [
                LSP | {"weight": 2.0},
                LSP | {"annotations": "lsp/annotations/coco17_train.json", "complete": False},
            ],
            "val": LSP,
            "augment": {"preset": "weak", "rotation": 45},
            "cache_mib": 64,
        },
        "test.yaml",
    )
    skeleton = Skeleton.load("crowdpose14")
    sources = config.load_train(skeleton)
    assert [len(source.images) for source in sources] == [30, 30]
    assert [source.complete for source in sources] == [True, False]
    dataset = config.training_set(sources, task="crop", largest=(64, 48))
    assert len(dataset) == 60
    assert len(dataset.order) == 90
    assert dataset.augment.rotation == 45
    assert len(config.load_val(skeleton)) == 1


def test_the_defaults_are_weak_augmentation_and_no_validation(shared_data: Path) -> None:
    config = DataConfig.read({"root": str(shared_data), "train": [LSP]}, "test.yaml")
    assert config.augment == AugmentConfig.read("weak", "test")
    with pytest.raises(UserError, match="no set to validate on"):
        config.load_val(Skeleton.load("crowdpose14"))


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({}, "'train' is missing"),
        ({"train": []}, "train"),
        ({"train": [{"annotations": "a.json"}]}, "train.0: 'images' is missing"),
        ({"train": [LSP | {"weight": -1.0}]}, "train.0.weight"),
        ({"train": [LSP], "augment": "fierce"}, "augment: unknown preset 'fierce'"),
        ({"train": [LSP], "worker": 3}, "unknown field 'worker'"),
    ],
)
def test_faults_name_their_field(section: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=r"^test\.yaml: ") as caught:
        DataConfig.read(section, "test.yaml")
    assert complaint in str(caught.value)


def test_a_missing_root_says_how_to_set_it() -> None:
    config = DataConfig.read({"root": "no/such/folder", "train": [LSP]}, "test.yaml")
    with pytest.raises(UserError, match=r"with `overrides` data\.root=FOLDER"):
        config.load_train(Skeleton.load("crowdpose14"))


def test_the_sets_know_whether_their_pictures_are_turned(shared_data: Path) -> None:
    section = {"root": str(shared_data), "train": [LSP], "val": LSP}
    skeleton = Skeleton.load("crowdpose14")
    for more, expected in (({}, "turned"), ({"orientation": "stored"}, "stored")):
        config = DataConfig.read(section | more, "test.yaml")
        sources = (*config.load_train(skeleton), *config.load_val(skeleton))
        assert {source.orientation for source in sources} == {expected}
        assert sources[0].first(3).orientation == expected
