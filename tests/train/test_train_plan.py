"""Plans: the same for everybody, and fair."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nas.data import SampleOrder
from nas.graph.tracer import Tracer
from nas.runs.streams import POOL, generator
from nas.space import ArchManager, SearchSpace
from nas.space.arch import Neck
from nas.train.plan import Planner, SandwichDraw, SingleDraw, StepPlan, Trainee
from nas.train.pool import ArchPool, setting_of


def planner(space: SearchSpace, *, seed: int = 0, pool: ArchPool | None = None, **options: Any) -> Planner:
    draw = SandwichDraw(space, **{"random": 2, "pool": pool, **options})
    return Planner(seed=seed, order=SampleOrder([10], [1.0]), batch=4, draw=draw)


def macs_pool(space: SearchSpace) -> ArchPool:
    tracer = Tracer(space, "coco17")
    return ArchPool.draw(
        space, generator(0, POOL), size=300, bins=6, costs=lambda archs: [tracer(arch).macs for arch in archs]
    )


def test_a_plan_follows_from_seed_and_step(tiny_space: SearchSpace) -> None:
    plans = [planner(tiny_space)(step) for step in (0, 5)]
    again = [planner(tiny_space)(step) for step in (0, 5)]
    assert plans == again
    assert plans[0].digest == again[0].digest
    assert plans[0].digest != plans[1].digest
    assert planner(tiny_space, seed=1)(0).digest != plans[0].digest
    assert 0 <= plans[0].digest < 2**63


def roles(plan: StepPlan) -> list[str]:
    return [trainee.role for trainee in plan.trainees]


def test_the_largest_is_trained_alone_at_first(tiny_space: SearchSpace) -> None:
    """What comes after is what it would be without."""
    plain, warmed = planner(tiny_space), planner(tiny_space, largest_first=3)
    for step in range(3):
        assert roles(warmed(step)) == ["largest"]
        assert warmed(step).trainees[0] == plain(step).trainees[0]
        assert warmed(step).digest != plain(step).digest
    assert [warmed(step) for step in range(3, 8)] == [plain(step) for step in range(3, 8)]


def test_the_smallest_is_trained_in_its_turn(tiny_space: SearchSpace) -> None:
    plain, rarer = planner(tiny_space), planner(tiny_space, smallest_every=3)
    turns = [step for step in range(12) if "smallest" in roles(rarer(step))]
    assert turns == [0, 3, 6, 9]
    for step in range(12):
        others = [trainee for trainee in plain(step).trainees if trainee.role != "smallest"]
        assert [trainee for trainee in rarer(step).trainees if trainee.role != "smallest"] == others
        assert roles(rarer(step))[0] == "largest"


def test_the_largest_is_trained_in_its_turn(tiny_space: SearchSpace) -> None:
    plain, rarer = planner(tiny_space), planner(tiny_space, largest_every=3, smallest_every=2)
    for step in range(12):
        expected = ["largest"] * (step % 3 == 0) + ["smallest"] * (step % 2 == 0)
        assert [role for role in roles(rarer(step)) if role != "random"] == expected
        always, now = plain(step).trainees, rarer(step).trainees
        assert {trainee for trainee in always if trainee.role == "random"} <= set(now)
        assert rarer(step).settings == plain(step).settings


@pytest.mark.parametrize("random", [0, 1, 3])
def test_roles_say_what_is_trained(tiny_space: SearchSpace, random: int) -> None:
    manager = ArchManager(tiny_space)
    seen = 0
    for step in range(8):
        plan = planner(tiny_space, random=random)(step)
        given = {"head": plan.settings[0].head.type, "resolution": plan.settings[0].resolution}
        ends = [manager.largest(**given), manager.smallest(**given)]
        assert list(plan.archs[:2]) == ends
        assert roles(plan) == ["largest", "smallest", *["random"] * (len(plan.trainees) - 2)]
        seen = max(seen, len(plan.trainees) - 2)
    assert seen == random


def test_every_sample_comes_once_per_epoch(tiny_space: SearchSpace) -> None:
    plan = planner(tiny_space)
    stream = [index for step in range(5) for index in plan(step).indices]
    assert sorted(stream[:10]) == sorted(stream[10:]) == list(range(10))
    assert stream[:10] != stream[10:]


@pytest.mark.parametrize("pooled", [True, False])
def test_networks_of_a_step_share_resolution_head_and_neck(pooled: bool) -> None:
    """Maps of other strides would need other targets, and a teacher of the same size."""
    space = SearchSpace.load("any-head-crop")
    manager = ArchManager(space)
    pool = ArchPool.draw(space, generator(0, POOL), size=300, bins=2, costs=lambda archs: range(1, 301))
    plan = planner(space, pool=pool if pooled else None)
    settings = set()
    for step in range(60):
        archs = plan(step).archs
        setting = setting_of(archs[0])
        assert {setting_of(arch) for arch in archs} == {setting}
        assert len({arch.level_strides for arch in archs}) == 1
        given = {"head": setting.head.type, "neck": setting.neck, "resolution": setting.resolution}
        ends = (manager.largest(**given), manager.smallest(**given))
        assert archs[:2] == tuple(replace(end, head=setting.head) for end in ends)
        assert len(archs) <= 4
        assert len(set(archs)) == len(archs)
        settings.add((setting.head.type, setting.neck))
    assert len(settings) > 7


@pytest.mark.parametrize("pooled", [True, False])
def test_all_heads_stand_on_every_body_of_a_step(pooled: bool) -> None:
    space = SearchSpace.load("any-head-crop")
    manager = ArchManager(space)
    pool = ArchPool.draw(space, generator(0, POOL), size=300, bins=2, costs=lambda archs: range(1, 301))
    plan = planner(space, pool=pool if pooled else None, all_heads=True)
    places, kinds, necks = set(), set(), set()
    for step in range(40):
        one = plan(step)
        assert tuple(setting.head.type for setting in one.settings) == space.heads
        assert len({setting.resolution for setting in one.settings}) == 1
        for trainee in one.trainees:
            assert all(space.contains(arch) for arch in trainee.archs)
            assert len({(arch.resolution, arch.stem, arch.stages) for arch in trainee.archs}) == 1
            by_type: dict[str, set[Neck]] = {}
            for arch in trainee.archs:
                by_type.setdefault(arch.neck.type, set()).add(arch.neck)
            assert all(len(found) == 1 for found in by_type.values()), "heads on one type of neck share it"
            assert tuple(map(setting_of, trainee.archs)) == one.settings, "students and teacher compare"
            if trainee.role == "random":
                necks |= by_type.get("fusion_deconv", set())
        ends = [trainee.archs for trainee in one.trainees[:2]]
        for setting, largest, smallest in zip(one.settings, *ends, strict=True):
            given = {"head": setting.head.type, "neck": setting.neck, "resolution": setting.resolution}
            assert largest == replace(manager.largest(**given), head=setting.head)
            assert smallest == replace(manager.smallest(**given), head=setting.head)
        assert roles(one)[:3] == ["largest", "smallest", "random"]
        assert one == planner(space, pool=pool if pooled else None, all_heads=True)(step)
        places.add(one.settings[0].resolution)
        kinds |= {(setting.head.type, setting.neck) for setting in one.settings}
    assert len(places) == len(space.resolutions)
    assert len(kinds) == 11, "every head on every neck that it can stand on"
    assert len(necks) > 4


def test_requests_name_every_head_of_a_step() -> None:
    space = SearchSpace.load("any-head-crop")
    plan = planner(space, all_heads=True)(2)
    for request in plan.requests(0, 2):
        assert [head for head, _ in request.heads] == [setting.head for setting in plan.settings]
        assert [strides for _, strides in request.heads] == [
            arch.level_strides for arch in plan.trainees[-1].archs
        ]


def test_the_pool_is_drawn_from_evenly_over_cost(tiny_space: SearchSpace) -> None:
    pool = macs_pool(tiny_space)
    bin_of = dict(zip(pool.archs, pool.bins, strict=True))
    rng = np.random.default_rng(0)
    drawn = Counter(bin_of[pool.sample(rng)] for _ in range(3000))
    uniform = Counter(pool.bins)
    assert set(drawn) == set(range(6))
    assert max(drawn.values()) < 1.25 * min(drawn.values())
    assert max(uniform.values()) > 1.5 * min(uniform.values()), "an even pool would show nothing"


def test_bins_are_ordered_by_cost(tiny_space: SearchSpace) -> None:
    tracer = Tracer(tiny_space, "coco17")
    pool = macs_pool(tiny_space)
    cost = [tracer(arch).macs for arch in pool.archs]
    highest = [max(c for c, b in zip(cost, pool.bins, strict=True) if b == bin) for bin in range(6)]
    lowest = [min(c for c, b in zip(cost, pool.bins, strict=True) if b == bin) for bin in range(6)]
    assert all(high < low for high, low in zip(highest[:-1], lowest[1:], strict=True))


def test_parts_of_a_step_hold_all_of_it(tiny_space: SearchSpace) -> None:
    plan = planner(tiny_space)(3)
    requests = [request for part in range(2) for request in plan.requests(part, 2)]
    assert tuple(request.index for request in requests) == plan.indices
    assert [request.seed for request in requests] == [(0, 3, position) for position in range(4)]
    (setting,) = plan.settings
    assert {(r.resolution, r.head) for r in requests} == {(setting.resolution, setting.head)}


def test_a_single_network_is_always_drawn(tiny_space: SearchSpace) -> None:
    arch = ArchManager(tiny_space).smallest()
    assert SingleDraw(arch)(np.random.default_rng(0), 7) == (Trainee("alone", (arch,)),)
