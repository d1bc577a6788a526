import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from space_data import altered

from nas.errors import UserError
from nas.shipped import shipped_names
from nas.space import Arch, ArchManager, Head, SearchSpace
from nas.space.options import freeze_options

SPACES = [SearchSpace.load(name) for name in shipped_names("search_spaces", ".yaml")]

archs = st.builds(
    lambda space, seed: ArchManager(space).sample(np.random.default_rng(seed)),
    st.sampled_from(SPACES),
    st.integers(0, 2**32),
)


@pytest.fixture
def data() -> dict[str, Any]:
    return Arch.load("litepose-auto-xs").to_json()


@given(archs)
def test_json_round_trip_is_lossless(arch: Arch) -> None:
    again = Arch.from_json(json.loads(json.dumps(arch.to_json())))
    assert again == arch
    assert (hash(again), again.id) == (hash(arch), arch.id)


@given(archs, archs)
def test_id_names_the_value(first: Arch, second: Arch) -> None:
    assert (first.id == second.id) == (first == second)


def test_id_has_twelve_hex_digits() -> None:
    arch = Arch.load("litepose-auto-xs")
    assert len(arch.id) == 12
    int(arch.id, 16)


def test_file_round_trip_keeps_info_apart(tmp_path: Path) -> None:
    arch = Arch.load("litepose-auto-xs")
    info = {
        "note": "two  spaces, [brackets] and {braces}\n",
        "measured_ms": 12.7,
        "nested": {"list": [1, []]},
    }
    arch.save(tmp_path / "arch.json", info=info)
    assert Arch.load(tmp_path / "arch.json") == arch
    assert json.loads((tmp_path / "arch.json").read_text())["info"] == info


def test_pickle_leaves_the_cached_hash_behind() -> None:
    # String hashes differ between processes; a worker must compute its own.
    arch = Arch.load("litepose-auto-xs")
    hash(arch)
    script = (
        "import pickle, sys; from nas.space import Arch; arch = pickle.load(sys.stdin.buffer);"
        "print(arch in {Arch.load('litepose-auto-xs')})"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, input=pickle.dumps(arch), capture_output=True, check=True)
    assert done.stdout.strip() == b"True"


def test_resolution_can_be_replaced() -> None:
    arch = Arch.load("litepose-auto-xs")
    assert arch.with_resolution((512, 512)).resolution == (512, 512)
    assert arch.with_resolution((512, 512)).with_resolution((256, 256)) == arch


def test_left_out_head_options_take_their_defaults(data: dict[str, Any]) -> None:
    data["head"] = {"type": "simcc"}
    assert Arch.from_json(data).head.option("split") == 2
    with pytest.raises(KeyError):
        Head("simcc").option("nothing")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("stages.2.blocks.0.kernel", 4, "stages.2.blocks.0.kernel: expected a positive odd integer, got 4"),
        (
            "stages.2.blocks.0.kernel",
            True,
            "stages.2.blocks.0.kernel: expected a positive odd integer, got True",
        ),
        (
            "stages.2.blocks.0.expansion",
            2.5,
            "stages.2.blocks.0.expansion: expected a positive integer, got 2.5",
        ),
        ("stages.2.blocks.0.expansion", ..., "stages.2.blocks.0: 'expansion' is missing"),
        ("stages.0.stride", 3, "stages.0.stride: expected at most 2, got 3"),
        ("stages.0.width", 20, "stages.0.width: expected a positive multiple of 8, got 20"),
        ("stages.0.colour", "red", "stages.0: unknown field 'colour'"),
        ("stages.0.type", "resnet", "stages.0.type: unknown block type 'resnet'; known: mbconv"),
        (
            "stages.0.options",
            {"ratio": 2},
            "stages.0: block type 'mbconv' has no option 'ratio'; its options: none",
        ),
        ("stages.0.blocks", [], "stages.0.blocks: "),
        ("stem.activation", "gelu", "stem.activation: unknown activation 'gelu'"),
        ("neck.upsampler", "magic", "neck.upsampler: unknown up-sampler 'magic'"),
        ("neck.upsampler", None, "neck: upsampler: is missing"),
        ("neck.widths", [16, 24], "neck: head 'associative_embedding' needs maps of stride 4, 2"),
        ("neck.widths", [16] * 5, "neck.widths: 5 levels do not fit a total stride of 16"),
        ("head.type", "cornernet", "head: unknown head 'cornernet'; known heads: associative_embedding"),
        ("head.options", {"split": 2}, "head: head 'associative_embedding' has no option 'split'"),
        (
            "resolution",
            [256, 250],
            "resolution: 256x250 is not divisible by the network's coarsest stride",
        ),
        ("version", 7, "version: this package reads version 1, got 7"),
        ("version", ..., "'version' is missing"),
    ],
)
def test_faults_name_file_and_field(data: dict[str, Any], field: str, value: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        Arch.from_json(altered(data, field, value), source="a.json")
    assert str(error.value).startswith(f"a.json: {message}")
    assert "\n" not in str(error.value)


def test_unreadable_files_are_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"version": 1,')
    listed = tmp_path / "list.json"
    listed.write_text("[1, 2]")
    for name, message in [
        (broken, "broken.json: cannot be read as JSON"),
        (listed, "list.json: expected a mapping, got [1, 2]"),
        (tmp_path / "absent.json", "absent.json: no such file"),
        ("litepose-auto-xxl", "'litepose-auto-xxl' is neither a file nor one of the shipped subnets"),
    ]:
        with pytest.raises(UserError) as error:
            Arch.load(name)
        assert message in str(error.value)
        assert "\n" not in str(error.value)


def test_options_added_later_leave_ids_alone() -> None:
    """An arch from before `kernel` and `radius` has the id that it had; only other values are written."""
    arch = Arch.load("litepose-auto-xs")
    assert arch.to_json()["head"] == {"type": "associative_embedding", "options": {}}
    options = freeze_options({**dict(arch.head.options), "radius": "person"})
    wide = replace(arch, head=replace(arch.head, options=options))
    assert wide.to_json()["head"]["options"] == {"radius": "person"}
    assert wide.id != arch.id
    for each in (arch, wide):
        assert Arch.from_json(each.to_json()) == each
