from dataclasses import replace
from typing import Any

import pytest

from nas.errors import UserError
from nas.space import Arch, Head, SearchSpace, arch_to_litepose

PUBLISHED = {
    "xs": (256, 16, [16, 24, 24], [16, 32, 48, 80]),
    "s": (448, 16, [32, 24, 32], [16, 32, 48, 120]),
    "m": (448, 16, [64, 40, 32], [24, 48, 72, 120]),
    "l": (512, 24, [64, 40, 32], [24, 64, 96, 160]),
}


def litepose(name: str) -> dict[str, Any]:
    """The released file of a published subnet."""
    size, stem, deconv, widths = PUBLISHED[name]
    stages = zip((6, 8, 10, 10), (2, 2, 2, 1), widths, strict=True)
    return {
        "img_size": size,
        "input_channel": stem,
        "deconv_setting": deconv,
        "backbone_setting": [
            {"num_blocks": depth, "stride": stride, "channel": width, "block_setting": [[6, 7]] * depth}
            for depth, stride, width in stages
        ],
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_subnets_are_the_published_ones(name: str) -> None:
    arch = Arch.load(f"litepose-auto-{name}")
    assert arch == Arch.from_json(litepose(name))
    assert arch_to_litepose(arch) == litepose(name)
    assert Arch.from_json(arch_to_litepose(arch)) == arch


@pytest.mark.parametrize("space", ["litepose", "litepose-published"])
def test_spaces_contain_the_published_subnets(space: str) -> None:
    published = SearchSpace.load(space).published()
    assert published == {f"litepose-auto-{name}": Arch.from_json(litepose(name)) for name in PUBLISHED}


def test_expansion_comes_before_kernel() -> None:
    data = litepose("xs")
    data["backbone_setting"][1]["block_setting"] = [[3, 5]] * 8
    block = Arch.from_json(data).stages[1].blocks[0]
    assert (block.kernel, block.expansion) == (5, 3)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("img_size", 250, "resolution: 250x250 is not divisible"),
        ("input_channel", 12, "input_channel: expected a positive multiple of 8, got 12"),
        ("deconv_setting", [16, 24], "neck: head 'associative_embedding' needs maps of stride 4, 2"),
        ("backbone_setting", [], "backbone_setting: "),
        ("stem", 3, "unknown field 'stem'"),
    ],
)
def test_faults_name_the_field(key: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=r"^x\.json: ") as error:
        Arch.from_json(litepose("xs") | {key: value}, source="x.json")
    assert str(error.value).startswith(f"x.json: {message}")


def test_wrong_block_count_is_named() -> None:
    data = litepose("xs")
    data["backbone_setting"][0]["num_blocks"] = 4
    with pytest.raises(UserError, match=r"backbone_setting.0: num_blocks is 4, but block_setting has 6"):
        Arch.from_json(data)


def test_what_the_format_cannot_say_is_refused() -> None:
    arch = Arch.load("litepose-auto-xs")
    stage = arch.stages[3]
    for changed, message in [
        (arch.with_resolution((256, 320)), "resolution: .* this arch has \\[256, 320\\]"),
        (
            replace(arch, neck=replace(arch.neck, upsampler="bilinear")),
            "neck.upsampler: .*'deconv4x4'.*'bilinear'",
        ),
        (replace(arch, head=Head("heatmap")), "head.type: .*'heatmap'"),
        (replace(arch, stem=replace(arch.stem, activation="relu")), "stem.activation: .*'relu'"),
        (
            replace(arch, stages=(*arch.stages[:3], replace(stage, activation="silu"))),
            "stages.3.activation: .*'silu'",
        ),
    ]:
        with pytest.raises(UserError, match=message):
            arch_to_litepose(changed)
