"""Batches from worker processes."""

import logging
from collections.abc import Sequence

import pytest
import torch

from nas.data import (
    Annotations,
    AugmentConfig,
    Batch,
    KeypointDataset,
    Loader,
    SampleRequest,
    TargetHead,
    default_workers,
)
from nas.errors import UserError
from nas.space.arch import Head

RESOLUTIONS = ((32, 24), (64, 48))
BESIDE = (TargetHead(Head("simcc", (("label", "gaussian"), ("split", 2))), (4,)),)


def plan(dataset: KeypointDataset, batches: int) -> list[Sequence[SampleRequest]]:
    """Batches of 3 whose resolution alternates."""
    return [
        [
            SampleRequest(int(index), (0, step, row), RESOLUTIONS[step % 2], Head("heatmap"), beside=BESIDE)
            for row, index in enumerate(dataset.order.indices(3 * step, 3, seed=0))
        ]
        for step in range(batches)
    ]


def strong(annotations: Annotations, cache_mib: int = 0) -> KeypointDataset:
    return KeypointDataset(
        [annotations], task="crop", augment=AugmentConfig.read("strong", "test"), cache_mib=cache_mib
    )


def assert_same(left: Sequence[Batch], right: Sequence[Batch]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one.ids == other.ids
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.inverse, other.inverse)
        for ours, theirs in zip((one.targets, *one.beside), (other.targets, *other.beside), strict=True):
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(target, theirs[name]) for name, target in ours.items())


@pytest.mark.parametrize("cache_mib", [0, 8])
def test_batches_do_not_depend_on_the_workers(dotted: Annotations, cache_mib: int) -> None:
    assert dotted.folder is not None
    (dotted.folder / "2.png").unlink()
    dataset = strong(dotted, cache_mib)
    expected = list(Loader(strong(dotted), workers=0).batches(plan(dataset, 6)))
    for workers in (1, 2):
        assert_same(list(Loader(dataset, workers=workers).batches(plan(dataset, 6))), expected)


def test_workers_stay_for_the_next_plan_and_a_plan_may_be_left(dotted: Annotations) -> None:
    dataset = strong(dotted)
    loader = Loader(dataset, workers=2)
    expected = list(Loader(dataset, workers=0).batches(plan(dataset, 6)))
    first = iter(loader.batches(plan(dataset, 6)))
    assert_same([next(first), next(first)], expected[:2])
    assert_same(list(loader.batches(plan(dataset, 4))), expected[:4])
    assert_same(list(loader.batches(iter(plan(dataset, 1)))), expected[:1])


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_images_are_logged_once_counted_and_at_last_too_many(
    dotted: Annotations, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    assert dotted.folder is not None
    (dotted.folder / "2.png").unlink()
    dataset = strong(dotted)
    loader = Loader(dataset, workers=workers, bad_share=0.02)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(
            UserError, match=r"11 of the \d+ images asked for cannot be read \(2% are tolerated\)"
        ) as caught,
    ):
        list(loader.batches(plan(dataset, 60)))
    assert caplog.text.count("2.png: the file is missing") == 1
    assert len(loader.failures) == 11
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_may_not_be_replaced_stops_with_one_line(dotted: Annotations, workers: int) -> None:
    assert dotted.folder is not None
    (dotted.folder / "2.png").unlink()
    dataset = strong(dotted)
    loader = Loader(dataset, workers=workers)
    with pytest.raises(UserError) as caught:
        list(loader.batches([dataset.requests((32, 24))]))
    assert "2.png: the file is missing; restore the image" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_batch_moves_as_a_whole(dotted: Annotations) -> None:
    batch = next(Loader(strong(dotted), workers=0).batches(plan(strong(dotted), 1)))
    moved = batch.to("meta")
    assert moved.images.is_meta
    assert len(moved.beside) == 1
    assert all(target.is_meta for head in (moved.targets, *moved.beside) for target in head.values())
    assert moved.ids == batch.ids
    assert moved.inverse is batch.inverse


def test_there_is_always_a_worker_by_default() -> None:
    assert default_workers() >= 1
