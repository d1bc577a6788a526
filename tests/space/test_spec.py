from pathlib import Path
from typing import Any

import pytest
from space_data import altered

from nas.errors import UserError
from nas.shipped import shipped_names
from nas.space import ArchManager, HeadSpec, SearchSpace, SpaceSpec, parts, register


def test_a_scalar_stands_for_a_list_of_one(tiny_data: dict[str, Any]) -> None:
    spec = SpaceSpec.read(tiny_data, "tiny.yaml")
    assert spec.stages[0].widths == (8,)
    assert spec.stages[0].choices()["kernel"] == (3, 5)
    assert [block["kernel"] for block in spec.stages[0].blocks] == [(3, 5)] * 3
    assert spec.necks["fusion_deconv"].widths == ((8, 16),)
    assert spec.total_stride == 8


def test_sides_stand_for_squares(tiny_data: dict[str, Any]) -> None:
    for written, read in [(64, ((64, 64),)), ([64, 96], ((64, 64), (96, 96))), ([[64, 96]], ((64, 96),))]:
        spec = SpaceSpec.read(tiny_data | {"resolution": written}, "tiny.yaml")
        assert spec.resolutions == read


def test_heads_are_completed(tiny_data: dict[str, Any]) -> None:
    spec = SpaceSpec.read(tiny_data, "tiny.yaml")
    assert spec.heads["heatmap"].necks == ("fusion_deconv",)
    assert spec.heads["simcc"].necks == ("none", "fusion_deconv")
    assert spec.heads["simcc"].options == {"split": (1, 2), "label": ("gaussian",)}


def test_blocks_may_be_listed_one_by_one(tiny_data: dict[str, Any]) -> None:
    stage = tiny_data["stages"][1]
    del stage["kernel"], stage["expansion"]
    stage["blocks"] = [{"kernel": [3, 7], "expansion": 4}]
    space = SearchSpace(SpaceSpec.read(tiny_data, "tiny.yaml"))
    assert ArchManager(space).largest().stages[1].blocks[0].kernel == 7
    assert SearchSpace.from_json(space.to_json()) == space


def test_options_are_what_the_type_says(tiny_data: dict[str, Any]) -> None:
    options: dict[str, Any] = {"attention": [False, True], "residual": True}
    tiny_data["stages"][0] |= {"type": ["mbconv", "cspnext"], "options": options}
    stage = SpaceSpec.read(tiny_data, "tiny.yaml").stages[0]
    assert stage.options == {"attention": (False, True), "residual": (True,), "spp": (False,)}
    for value in (1, "yes", [False, 3]):
        options["spp"] = value
        with pytest.raises(
            UserError, match=r"stages\.0: option 'spp' of block type 'cspnext': expected bool"
        ):
            SpaceSpec.read(tiny_data, "tiny.yaml")


@pytest.mark.parametrize("name", shipped_names("search_spaces", ".yaml"))
def test_shipped_spaces_load_and_round_trip(name: str) -> None:
    space = SearchSpace.load(name)
    assert space.name == name
    assert SearchSpace.from_json(space.to_json()) == space
    coarse = dict.fromkeys(("movenet", "regression", "rtmpose", "yolopose"), 32)
    assert space.spec.total_stride == {"openpose-lite": 8, **coarse}.get(name, 16)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("dilation", 2, "unknown dimension 'dilation'; known: name, task"),
        ("stages.1.dilation", 2, "stages.1: unknown dimension 'dilation'; known: type"),
        ("task", "dance", "task: "),
        ("task", ..., "'task' is missing"),
        ("stem.width", [8, 20], "stem.width.1: expected a positive multiple of 8, got 20"),
        ("stem.width", [16, 8], "stem.width: list the choices from small to large, each once; got [16, 8]"),
        ("stem.width", [], "stem.width: at least one choice is needed"),
        ("stages.0.activation", ["relu", "relu"], "stages.0.activation: list each choice once"),
        ("stages.0.kernel", [3, 4], "stages.0.kernel.1: expected a positive odd integer, got 4"),
        ("stages.0.kernel", ..., "stages.0: kernel: is missing"),
        (
            "stages.0.blocks",
            [{"kernel": 3}],
            "stages.0: give kernel and expansion, or blocks instead of both",
        ),
        (
            "stages.1.type",
            "shuffle",
            "stages.1: expansion: blocks of type shuffle have 1; leave it out",
        ),
        ("stages.0.depth", [0, 1], "stages.0.depth.0: expected a positive integer, got 0"),
        ("stages.0.type", "resnet", "stages.0.type.0: unknown block type 'resnet'"),
        (
            "stages.0.options",
            {"ratio": 2},
            "stages.0: block type 'mbconv' has no option 'ratio'; its options: none",
        ),
        ("stages", 3, "stages: expected a list, got 3"),
        ("resolution", [[100, 64]], "resolution: 100x64 is not divisible by the network's coarsest stride 8"),
        ("resolution", [96, 64], "resolution: list the input sizes from small to large"),
        ("resolution", "large", "resolution: expected a side or [height, width] in pixels, got 'large'"),
        ("necks.hrnet", {}, "necks.hrnet: unknown neck 'hrnet'"),
        ("necks.none", {"upsampler": "bilinear"}, "necks.none.upsampler: not known here"),
        ("necks.fusion_deconv", {"widths": [8]}, "necks.fusion_deconv.upsampler: is missing"),
        ("necks.fusion_deconv.widths", [8] * 4, "necks.fusion_deconv.widths: 4 levels"),
        ("necks.fusion_deconv", ..., "heads.heatmap: takes fusion_deconv or fpn or pan, and necks"),
        ("heads", {}, "heads: "),
        ("heads", {"heatmap": {}}, "necks.none: no head stands on it"),
        ("heads.posenet", {}, "heads.posenet: unknown head 'posenet'; known heads: associative_embedding"),
        (
            "heads.heatmap",
            {"neck": "none"},
            "heads.heatmap.neck: head 'heatmap' takes fusion_deconv or fpn or pan, not 'none'",
        ),
        ("heads.simcc", {"options": {"splt": 2}}, "heads.simcc: head 'simcc' has no option 'splt'"),
        (
            "heads.simcc",
            {"options": {"split": "2"}},
            "heads.simcc: option 'split' of head 'simcc': expected int",
        ),
        (
            "heads.associative_embedding",
            {},
            "heads.associative_embedding: is a head for the task 'image', not 'crop'",
        ),
    ],
)
def test_faults_name_file_and_field(tiny_data: dict[str, Any], field: str, value: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        SpaceSpec.read(altered(tiny_data, field, value), "tiny.yaml")
    assert str(error.value).startswith(f"tiny.yaml: {message}")
    assert "\n" not in str(error.value)


def test_a_head_says_which_strides_it_needs(tiny_data: dict[str, Any]) -> None:
    data = tiny_data | {"task": "image", "heads": {"associative_embedding": {}}}
    del data["necks"]["none"]
    with pytest.raises(UserError, match="needs maps of stride 4, 2 at the end, 'fusion_deconv' ends in 4"):
        SpaceSpec.read(data, "tiny.yaml")


def test_unreadable_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("name: [a\nb: : c")
    with pytest.raises(UserError, match=r"space.yaml: cannot be read as YAML") as error:
        SearchSpace.load(path)
    assert "\n" not in str(error.value)
    path.write_text("")
    with pytest.raises(UserError, match=r"space.yaml: expected a mapping, got None"):
        SearchSpace.load(path)
    with pytest.raises(UserError, match=r"one of the shipped search_spaces .*litepose"):
        SearchSpace.load("no-such-space")


def test_an_outside_head_validates_without_its_code(
    tiny_data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_REGISTRY", dict(parts._REGISTRY))
    register(
        HeadSpec(
            name="outside",
            task="crop",
            module="no_such_package.heads:Outside",
            codec="no_such_package.codecs:Outside",
            necks=("none",),
            options={"hidden": 64},
        )
    )
    data = altered(tiny_data, "heads.outside", {"options": {"hidden": [32, 64]}})
    manager = ArchManager(SearchSpace(SpaceSpec.read(data, "tiny.yaml")))
    assert manager.largest(head="outside").head.option("hidden") == 64
    with pytest.raises(ValueError, match="registered already"):
        register(HeadSpec(name="outside", task="image", module="", codec="", necks=()))
    with pytest.raises(ValueError, match="'neck'"):
        HeadSpec(name="bad", task="crop", module="", codec="", necks=(), options={"neck": 1})
