"""The search split."""

import json
from pathlib import Path

import pytest

from nas.data import Annotations, SearchSplit, draw_search_split, load_annotations
from nas.errors import UserError
from nas.space.skeleton import Skeleton


@pytest.fixture(scope="module")
def real_sources(shared_data: Path) -> list[Annotations]:
    skeleton = Skeleton.load("crowdpose14")
    return [
        load_annotations(shared_data / name / "annotations" / "crowdpose14_train.json", None, skeleton)
        for name in ("lspet", "lsp")
    ]


def test_real_sets_are_split_without_overlap(real_sources: list[Annotations]) -> None:
    split = draw_search_split(real_sources)
    chosen = sum(map(len, split.ids))
    total = sum(len(source.labelled_images) for source in real_sources)
    assert 0.04 < chosen / total < 0.06
    for source, train, search in zip(
        real_sources, split.train(real_sources), split.search(real_sources), strict=True
    ):
        train_ids, search_ids = ({image.id for image in part.images} for part in (train, search))
        assert train_ids.isdisjoint(search_ids)
        assert train_ids | search_ids == {image.id for image in source.images}
    assert sum(map(len, draw_search_split(real_sources, limit=100).ids)) == 100


def test_the_split_is_stable_and_does_not_depend_on_other_images(real_sources: list[Annotations]) -> None:
    source = real_sources[0]
    whole = draw_search_split([source])
    assert draw_search_split([source]) == whole
    assert whole.ids[0][:3] == (39, 51, 55)
    half = source.first(len(source.images) // 2)
    kept = {image.id for image in half.images}
    assert set(draw_search_split([half]).ids[0]) == kept.intersection(whole.ids[0])


def test_a_split_is_written_and_read(real_sources: list[Annotations]) -> None:
    split = draw_search_split(real_sources)
    assert SearchSplit.from_json(json.loads(json.dumps(split.to_json()))) == split
    with pytest.raises(UserError, match="no search split"):
        SearchSplit.from_json({"sources": [{}]})
    with pytest.raises(UserError, match="of 2 sources, the data have 1"):
        split.train(real_sources[:1])


def test_small_sets_leave_something_for_both(dotted: Annotations) -> None:
    split = draw_search_split([dotted], fraction=0.0001)
    assert len(split.ids[0]) == 1
    assert len(draw_search_split([dotted], fraction=1.0).ids[0]) == 5
    with pytest.raises(UserError, match="cannot be split"):
        draw_search_split([dotted.first(1)])
