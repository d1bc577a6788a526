"""The registry of parts, and options that came later."""

import subprocess
import sys
from dataclasses import replace

import pytest

from nas.errors import UserError
from nas.space import (
    Arch,
    BlockSpec,
    NeckSpec,
    SearchSpace,
    SpaceSpec,
    last_stage,
    names,
    part,
    parts,
    register,
)
from nas.space.catalogue import BLOCKS

SCRIPT = """
import importlib.metadata

ask = importlib.metadata.entry_points

def refuse(*, group):
    if group.startswith("nas."):
        raise RuntimeError("asked for installed packages")
    return ask(group=group)

importlib.metadata.entry_points = refuse
from nas.space import Arch, ArchManager, BlockSpec, SearchSpace, names
space = SearchSpace.load("any-head-crop")
arch = ArchManager(space).largest()
assert Arch.from_json(arch.to_json()) == arch
try:
    names(BlockSpec)
except RuntimeError as error:
    print(error)
"""


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block and a neck with options that came after they had been published."""
    monkeypatch.setattr(parts, "_REGISTRY", dict(parts._REGISTRY))
    register(BlockSpec(name="grown", module="x:Y", options={"gate": False}, later=("gate",)))
    options = {"pool": False, "share": 0.5}
    neck = NeckSpec(
        name="added", module="x:Z", strides=last_stage, options=options, later=("pool",), like="none"
    )
    register(neck)


def arch() -> Arch:
    """An arch of the two as a file has it that knows no later option."""
    data = {
        "version": 1,
        "resolution": [64, 48],
        "stem": {"type": "conv", "width": 8, "activation": "relu"},
        "stages": [
            {
                "type": "grown",
                "activation": "relu",
                "stride": 2,
                "width": 16,
                "blocks": [{"kernel": 3, "expansion": 2}],
            }
        ],
        "neck": {"type": "added", "upsampler": None, "widths": [16], "options": {"share": 0.25}},
        "head": {"type": "simcc", "options": {}},
    }
    return Arch.from_json(data)


def test_what_ships_needs_no_installed_packages() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stdout == "asked for installed packages\n", done.stderr


def test_names_are_those_of_a_kind() -> None:
    assert set(names(BlockSpec)) >= {block.name for block in BLOCKS}
    assert "fpn" not in names(BlockSpec)
    with pytest.raises(UserError, match="unknown block type 'fpn'; known block types: mbconv, mbv3"):
        part(BlockSpec, "fpn")


@pytest.mark.usefixtures("later")
def test_later_options_are_at_their_defaults_where_they_are_left_out() -> None:
    old = arch()
    (stage,) = old.stages
    assert (stage.option("gate"), old.neck.option("pool"), old.neck.option("share")) == (False, False, 0.25)
    written = old.to_json()
    assert (written["stages"][0]["options"], written["neck"]["options"]) == ({}, {"share": 0.25})
    new = replace(old, stages=(replace(stage, options=(("gate", True),)),))
    assert new.id != old.id
    for each in (old, new):
        assert Arch.from_json(each.to_json()) == each
        assert SearchSpace.of(each).contains(each)


@pytest.mark.usefixtures("later")
def test_a_space_varies_the_options_of_a_neck() -> None:
    data = SearchSpace.of(arch()).to_json() | {
        "necks": {"added": {"widths": [16], "options": {"pool": [False, True]}}}
    }
    del data["version"]
    space = SearchSpace(SpaceSpec.read(data, "x.yaml"))
    names_of = {dimension.name: dimension.choices for dimension in space.dimensions}
    assert names_of["neck.added.pool"] == (False, True)
    assert names_of["neck.added.share"] == (0.5,)
    data["necks"] = {"added": {"widths": [16], "options": {"pol": True}}}
    with pytest.raises(UserError, match=r"x.yaml: necks.added: neck 'added' has no option 'pol'"):
        SpaceSpec.read(data, "x.yaml")
