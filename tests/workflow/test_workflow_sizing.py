"""Sizes follow people, cores and memory."""

import numpy as np
import pytest

from nas.workflow.sizing import Sizing, size


def sized(
    people: int = 1000,
    *,
    box: tuple[float, float] = (80, 160),
    cores: int = 2,
    memory_mib: int = 16_000,
    has_validation: bool = False,
) -> Sizing:
    boxes = np.tile(np.array(box, float), (5, 1))
    return size(people, boxes, cores=cores, memory_mib=memory_mib, has_validation=has_validation)


@pytest.mark.parametrize(
    ("box", "resolutions"),
    [
        ((80, 160), ((96, 64), (128, 96))),
        ((160, 80), ((64, 96), (96, 128))),
        ((100, 100), ((80, 80), (112, 112))),
        ((30, 60), ((64, 48), (96, 64))),
    ],
)
def test_inputs_have_the_shape_of_the_people(
    box: tuple[float, float], resolutions: tuple[tuple[int, int], ...]
) -> None:
    assert sized(box=box).resolutions == resolutions
    assert all(side % 16 == 0 for resolution in resolutions for side in resolution)


def test_few_people_are_seen_often_and_many_at_least_eight_times() -> None:
    epochs = [sized(people).epochs for people in (100, 300, 1000, 10_000, 1_000_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] > 100
    assert epochs[-1] == 8


def test_more_cores_train_for_longer_and_take_less_time_a_step() -> None:
    two, eight = sized(4000), sized(4000, cores=8)
    assert eight.steps > two.steps
    assert eight.minutes[0] / eight.steps < two.minutes[0] / two.steps


@pytest.mark.parametrize(
    ("people", "cores", "memory_mib", "expected"),
    [
        (4000, 1, 8192, (1, 0)),
        (4000, 2, 8192, (2, 0)),
        (4000, 3, 8192, (2, 0)),
        (4000, 8, 8192, (4, 1)),
        (4000, 8, 3000, (1, 7)),
        (20, 8, 8192, (1, 7)),
    ],
)
def test_processes_share_batches_that_leave_each_eight_people(
    people: int, cores: int, memory_mib: int, expected: tuple[int, int]
) -> None:
    found = sized(people, cores=cores, memory_mib=memory_mib)
    assert (found.processes, found.workers) == expected
    assert found.batch % found.processes == 0


def test_little_memory_and_few_people_take_smaller_batches() -> None:
    assert sized().batch == 32
    assert sized(memory_mib=2000).batch == 16
    assert sized(20).batch == 4


def test_images_are_held_out_only_where_there_is_no_other_set() -> None:
    assert sized(300).holdout == 0.2
    assert sized(3000).holdout == 0.1
    assert sized(has_validation=True).holdout == 0


def test_many_people_get_the_larger_space() -> None:
    assert sized(4000).small
    assert not sized(20_000).small
