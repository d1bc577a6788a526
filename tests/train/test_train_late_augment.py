"""The last part of training sees another augmentation: by the step alone, whoever prepares the samples."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from test_train_resume import Killed, before_step, die, same_run
from tiny_training import RecipeMaker
from torch import Tensor

from nas.data import AugmentConfig, KeypointDataset, Loader
from nas.errors import UserError
from nas.models import to_input
from nas.runs import load_finetune_config
from nas.runs.config import SupernetConfig, load_config
from nas.space import ArchManager, SearchSpace, Skeleton
from nas.train import finetune_subnet, train_supernet
from nas.train.feed import Feed
from nas.train.plan import Planner, SandwichDraw
from nas.train.update import Updater

LATE = {"after": 0.5, "augment": "none"}


def with_late(config: SupernetConfig, *, workers: int = 0) -> SupernetConfig:
    """The recipe with strong augmentation, and none in the second half."""
    values = config.model_dump(mode="json")
    values["data"] |= {"augment": "strong", "late_augment": LATE, "workers": workers}
    return SupernetConfig.read(values, "recipe")


def dataset_of(config: SupernetConfig, **augment: AugmentConfig) -> KeypointDataset:
    sources = config.data.load_train(Skeleton.load(config.skeleton))
    return KeypointDataset(sources, task="crop", **augment)


@pytest.fixture
def late_steps(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each step that is taken is a late one."""
    seen: list[bool] = []
    original = Updater.step

    def stepping(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        seen.append(plan.late)
        return original(self, plan, parts)

    monkeypatch.setattr(Updater, "step", stepping)
    return seen


@pytest.mark.parametrize(
    ("after", "steps", "first"), [(0.0, 10, 0), (0.85, 100, 85), (0.55, 100, 55), (0.9, 7, 6), (1.0, 7, 7)]
)
def test_the_share_becomes_a_step(make_config: RecipeMaker, after: float, steps: int, first: int) -> None:
    values = make_config().model_dump(mode="json")
    values["data"]["late_augment"] = {"after": after, "augment": {"preset": "weak", "rotation": 3}}
    late = SupernetConfig.read(values, "recipe").data.late_augment
    assert late is not None
    assert late.first_step(steps) == first
    assert late.augment.rotation == 3


@pytest.mark.parametrize(
    ("late", "message"),
    [
        ({"after": 1.5, "augment": "weak"}, r"data\.late_augment\.after: "),
        ({"after": 0.5}, r"data\.late_augment: 'augment' is missing"),
        ({"after": 0.5, "augment": "tiny"}, r"data\.late_augment\.augment: .*unknown preset 'tiny'"),
        ({"after": 0.5, "augment": "weak", "until": 1}, r"data\.late_augment: unknown field 'until'"),
    ],
)
def test_a_wrong_field_is_named(make_config: RecipeMaker, late: Any, message: str) -> None:
    values = make_config().model_dump(mode="json")
    values["data"]["late_augment"] = late
    with pytest.raises(UserError, match=message):
        SupernetConfig.read(values, "recipe")


def test_supernet_and_finetuning_change_over_each_at_its_own_step(
    make_config: RecipeMaker, tiny_space: SearchSpace, tmp_path: Path, late_steps: list[bool]
) -> None:
    run = train_supernet(with_late(make_config(steps=5)), tmp_path / "run")
    assert late_steps == [False, False, True, True, True]
    late_steps.clear()
    recipe = load_finetune_config(run.path, ["steps=4"])
    finetune_subnet(run.path, ArchManager(tiny_space).smallest(head="heatmap"), recipe=recipe)
    assert late_steps == [False, False, True, True]


def test_without_a_last_part_no_step_is_late(
    make_config: RecipeMaker, tmp_path: Path, late_steps: list[bool]
) -> None:
    train_supernet(make_config(steps=2), tmp_path / "run")
    assert late_steps == [False, False]


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_follow_from_their_step_with_prefetching_and_after_a_resume(
    make_config: RecipeMaker, tiny_space: SearchSpace, workers: int
) -> None:
    strong, none = AugmentConfig.read("strong", "test"), AugmentConfig()
    config = make_config()
    first, last = (dataset_of(config, augment=augment) for augment in (strong, none))
    both = dataset_of(config, augment=strong, late_augment=none)
    draw = SandwichDraw(tiny_space, random=0, pool=None)
    planner = Planner(seed=0, order=both.order, batch=4, draw=draw, late_from=3)
    expected = [(last if step >= 3 else first).batch(planner(step).requests(0, 1)) for step in range(6)]

    def images(start: int) -> list[Tensor]:
        with Loader(both, workers=workers) as loader:
            feed = Feed(
                loader,
                planner,
                Fabric(accelerator="cpu", devices=1),
                batch=4,
                accumulate=1,
                dtype=torch.float32,
            )
            return [part.images for parts in feed(start, 6) for part in parts]

    wanted = [to_input(batch.images, "cpu", dtype=torch.float32) for batch in expected]
    for start in (0, 2, 4):
        for found, image in zip(images(start), wanted[start:], strict=True):
            assert torch.equal(found, image)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("step", [5, 8])
def test_killed_on_either_side_of_the_change_and_resumed_equals_undisturbed(
    make_config: RecipeMaker, tmp_path: Path, workers: int, step: int
) -> None:
    config = with_late(make_config(), workers=workers)
    straight = train_supernet(config, tmp_path / "straight")
    with before_step(step, die), pytest.raises(Killed):
        train_supernet(config, tmp_path / "killed")
    same_run(straight, train_supernet(config, tmp_path / "killed"))


def test_images_are_kept_large_enough_for_both_parts(make_config: RecipeMaker) -> None:
    config = make_config()
    zoomed = AugmentConfig(scale=(1.0, 3.0))
    sources = config.data.load_train(Skeleton.load(config.skeleton))

    def kept(**augment: AugmentConfig) -> float:
        dataset = KeypointDataset(sources, task="crop", largest=(12, 12), **augment)
        return dataset._photographs._store.scale(0)[0]

    assert kept() < kept(augment=zoomed) == kept(late_augment=zoomed)


def test_another_last_part_is_another_run(make_config: RecipeMaker, tmp_path: Path) -> None:
    train_supernet(with_late(make_config(steps=1)), tmp_path / "run")
    with pytest.raises(UserError, match=r"data\.late_augment"):
        train_supernet(make_config(steps=1), tmp_path / "run")


def test_it_can_be_set_on_the_command_line() -> None:
    config = load_config("person-crop-lsp", ["data.late_augment={after: 0.9, augment: weak}"])
    assert config.data.late_augment is not None
    assert config.data.late_augment.after == 0.9
