"""What the comparison trains, for how long and in which order, and what it picks for that."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.flagship.picks import PICKERS, SHUFFLENET, median_near
from benchmarks.flagship.rows import KINDS, Comparison, Row, images_of
from benchmarks.flagship.scaling import ladder, largest_within
from benchmarks.flagship.workplace import Workplace
from nas.errors import UserError
from nas.runs import RunFolder, load_config
from nas.space import Arch, ArchManager, SearchSpace


def test_every_row_is_there_and_the_important_ones_come_first() -> None:
    comparison = Comparison()
    rows = comparison.rows
    assert comparison.budgets_ms == (0.25, 0.5, 0.8)
    assert len({row.name for row in rows}) == len(rows) == 24
    for budget in (0.25, 0.5):
        seeds = {kind: sum((row.kind, row.budget_ms) == (kind, budget) for row in rows) for kind in KINDS}
        twice = ("searched", "scaled", "macs")
        assert seeds == {kind: 2 if kind in twice else 1 for kind in KINDS}
    assert {row.kind for row in rows if row.budget_ms == 0.8} == {"searched", "scaled"}
    assert rows[0] == Row("searched", 0.5)
    assert rows[0].name == "searched-0.5ms-seed0"
    main = ("searched", "scaled", "macs")
    assert set(rows[:8]) == {row for row in rows if row.kind in main and row.seed == 0}


def test_what_rows_need_is_picked_once() -> None:
    picks = Comparison().picks
    assert len(set(picks)) == len(picks) == 2 * 5 + 2
    assert {pick for pick, _ in picks} == set(PICKERS)
    assert {pick for pick, budget in picks if budget == 0.8} == {"searched", "scaled"}
    assert Comparison(whole=(), pair=(1.0,)).picks == (("searched", 1.0), ("scaled", 1.0))


def test_what_is_compared_is_written_down_once(tmp_path: Path) -> None:
    place = Workplace(RunFolder(tmp_path))
    asked = Comparison((1.0,), (2.0, 3.0), earlier_images=224_000)
    assert place.begin(asked) == place.begin() == Workplace(RunFolder(tmp_path)).comparison == asked
    with pytest.raises(UserError, match="other rows are compared here"):
        place.begin(Comparison((1.0,), (2.0, 3.0)))


def test_rows_see_as_many_images_as_fine_tuning_and_some_a_share_of_the_supernets() -> None:
    lengths = {kind: images_of(kind, finetuning=291_000, supernet=640_000, budgets=3) for kind in KINDS}
    longer = 291_000 + 213_333
    assert {kind for kind, images in lengths.items() if images == longer} == {"scratch-long", "hand-made"}
    assert set(lengths.values()) == {291_000, longer}


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return load_config("person-crop-photographs").load_space()


def indices(space: SearchSpace, arch: Arch) -> dict[str, int]:
    return ArchManager(space).encode(arch)


def raised(name: str) -> bool:
    return name == "resolution" or name.endswith(".width") or ".widths." in name


@pytest.mark.parametrize(("head", "neck"), [("simcc", "none"), ("heatmap", "fusion_deconv")])
def test_a_ladder_raises_widths_and_the_input_together(space: SearchSpace, head: str, neck: str) -> None:
    rungs = ladder(space, head=head, neck=neck)
    sizes = {dimension.name: len(dimension.choices) for dimension in space.dimensions}
    codes = [indices(space, arch) for arch in rungs]
    scaled = [name for name in codes[0] if raised(name)]
    assert all(arch.head.type == head and arch.neck.type == neck for arch in rungs)
    assert [codes[0][name] for name in scaled] == [0] * len(scaled)
    widest = sum(sizes[name] - 1 for name in scaled)
    assert [codes[widest][name] for name in scaled] == [sizes[name] - 1 for name in scaled]
    for code in codes[: widest + 1]:
        for name in code.keys() - set(scaled) - {"head.type"}:
            assert code[name] == (sizes[name] - 1) // 2, name
    for lower, higher in pairwise(codes):
        changed = {name: higher[name] - lower[name] for name in lower if higher[name] != lower[name]}
        assert list(changed.values()) == [1]
    # Half of all steps are half of the way.
    middle = codes[widest // 2]
    shares = [middle[name] / (sizes[name] - 1) for name in scaled]
    assert 0.35 < np.mean(shares) < 0.65


def test_a_ladder_goes_on_by_depths_kernels_and_expansions(space: SearchSpace) -> None:
    top, largest = ladder(space, head="simcc", neck="none")[-1], ArchManager(space).largest(head="simcc")
    assert (top.resolution, top.stages) == (largest.resolution, largest.stages)


def test_a_ladder_goes_in_one_order(space: SearchSpace) -> None:
    codes = [indices(space, arch) for arch in ladder(space, head="simcc", neck="none")]
    steps = [
        next(name for name in before if after[name] != before[name]) for before, after in pairwise(codes)
    ]
    thirds = ["resolution", "stages.2.width", "stages.3.width"]
    halves = ["stem.width", "stages.0.width", "stages.1.width"]
    assert steps[: len([*thirds, *halves, *thirds])] == [*thirds, *halves, *thirds]


def test_the_highest_rung_that_keeps_a_budget_is_taken(space: SearchSpace) -> None:
    rungs = ladder(space, head="simcc", neck="none")[:4]
    ms = [0.1, 0.2, 0.3, 0.4]
    assert largest_within(rungs, ms, 0.3) == (rungs[2], 0.3)
    assert largest_within(rungs, ms, 0.05) is None
    # What is larger may be faster.
    assert largest_within(rungs, [0.1, 0.2, 0.5, 0.25], 0.3) == (rungs[3], 0.25)


def test_a_limit_of_macs_is_the_median_of_networks_near_the_budget() -> None:
    ms = np.array([1.0] * 6 + [1.029, 0.971, 1.02, 0.98, 0.99] + [1.031, 0.969, 2.0])
    macs = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1000, 1000, 1000], float)
    assert median_near(ms, macs, 1.0) == (6.0, 11)
    with pytest.raises(UserError, match="0 of 14 networks drawn take about 5 ms"):
        median_near(ms, macs, 5.0)


def test_hand_made_networks_are_shuffle_units_under_simcc() -> None:
    space = SearchSpace.load(SHUFFLENET)
    rungs = ladder(space, head="simcc", neck="none")
    assert len(rungs) == 18
    for arch in rungs:
        assert {stage.type for stage in arch.stages} == {"shuffle"}
        assert [stage.depth for stage in arch.stages] == [4, 8, 4]
        assert arch.total_stride == 16
