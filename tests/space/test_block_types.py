"""Block types as a choice: what a type has no use for makes no two archs of one network."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from block_samples import ALL_TYPES, block_space, stage_data

from nas.errors import UserError
from nas.space import Arch, ArchManager, SearchSpace, SpaceSpec
from nas.space.catalogue import BLOCKS

FIXED = [(block.name, field) for block in BLOCKS for field in block.fixed]
SPACE = block_space(*ALL_TYPES)
MANAGER = ArchManager(SPACE)


def test_sampled_archs_survive_every_way_there_and_back() -> None:
    rng = np.random.default_rng(0)
    types = set()
    for _ in range(200):
        arch = MANAGER.sample(rng)
        types |= {stage.type for stage in arch.stages}
        assert MANAGER.decode(MANAGER.encode(arch)) == arch
        assert Arch.from_json(arch.to_json()) == arch
        assert ArchManager(SearchSpace.of(arch)).sample(rng) == arch
        for relative in (
            MANAGER.mutate(arch, rng),
            MANAGER.crossover(arch, MANAGER.sample(rng), rng),
        ):
            assert SPACE.why_not(relative) is None
    assert types == set(ALL_TYPES)


@pytest.mark.parametrize(("block_type", "field"), FIXED)
def test_what_a_type_has_no_use_for_is_inactive(block_type: str, field: str) -> None:
    """Every choice of an unused dimension gives the same arch, which encodes without it."""
    rng = np.random.default_rng(0)
    arch = next(arch for arch in iter(lambda: MANAGER.sample(rng), None) if arch.stages[0].type == block_type)
    name = f"stages.0.blocks.0.{field}"
    indices = MANAGER.encode(arch)
    assert name not in indices
    assert all(MANAGER.decode(indices | {name: index}) == arch for index in (0, 1))


def test_size_counts_no_network_twice() -> None:
    one = {"depth": [1, 2], "width": 8}
    stages = [stage_data(name, **one) for name in ("mbconv", "shuffle")]
    both = stage_data("mbconv", "shuffle", **one)
    mbconv, shuffle, mixed = (_space(stage).size for stage in (*stages, both))
    assert mixed == mbconv + shuffle
    assert shuffle * (4 + 16) == mbconv * (2 + 4)


def _space(stage: dict[str, Any]) -> SearchSpace:
    data = SPACE.to_json() | {"stages": [stage]}
    del data["version"]
    return SearchSpace(SpaceSpec.read(data, "one.yaml"))


def test_archs_have_one_value_of_what_a_type_has_no_use_for() -> None:
    arch = ArchManager(block_space("shuffle")).smallest()
    first, *others = arch.stages
    wrong = replace(arch, stages=(replace(first, blocks=(replace(first.blocks[0], expansion=3),)), *others))
    message = "expansion: blocks of type 'shuffle' have 1 and no other, got 3"
    with pytest.raises(UserError, match=rf"^x.json: stages.0: blocks.0.{message}"):
        Arch.from_json(wrong.to_json(), source="x.json")
    assert SPACE.why_not(wrong) == f"stages.0.blocks.0.{message}"


@pytest.mark.parametrize(
    ("types", "changes", "message"),
    [
        (("shuffle",), {"expansion": [1, 2]}, "stages.0: expansion: blocks of type shuffle have 1; leave"),
        (("shuffle",), {"kernel": ...}, "stages.0: kernel: is missing"),
        (("mbconv", "shuffle"), {"expansion": ...}, "stages.0: expansion: is missing"),
        (
            ("shuffle",),
            {"kernel": ..., "depth": 2, "blocks": [{"kernel": 3}, {"kernel": 3, "expansion": 2}]},
            "stages.0: blocks.1.expansion: blocks of type shuffle have 1; leave it out",
        ),
    ],
)
def test_faults_of_stages_name_the_field(
    types: tuple[str, ...], changes: dict[str, Any], message: str
) -> None:
    stage = {name: value for name, value in (stage_data(*types) | changes).items() if value is not ...}
    with pytest.raises(UserError) as error:
        _space(stage)
    assert str(error.value).startswith(f"one.yaml: {message}")


def test_a_child_draws_what_neither_parent_has() -> None:
    """The one parent is deep but of a type without expansion, the other has the type but not the depth."""
    manager = ArchManager(block_space("shuffle", "mbconv"))
    rng = np.random.default_rng(0)
    low, high = manager.smallest(), manager.largest()
    shallow = manager.decode(manager.encode(high) | {"stages.0.depth": 0})
    deep = manager.decode(manager.encode(high) | {"stages.0.type": 0})
    found = {
        child.stages[0].blocks[-1].expansion
        for child in (manager.crossover(deep, shallow, rng) for _ in range(200))
        if (child.stages[0].type, child.stages[0].depth) == ("mbconv", 3)
    }
    assert found == {2, 3}
    assert manager.crossover(low, low, rng) == low
