"""Inverted residual blocks and their kin: what they compute, published sizes."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.layers import Context
from nas.models import PoseNet
from nas.models.blocks.fused_mbconv import FusedMBConv
from nas.models.blocks.mbconv import MBConv
from nas.models.blocks.mbv3 import MobileNetV3Block, SqueezeExcite, squeezed
from nas.models.blocks.place import BlockPlace
from nas.space import SearchSpace, SpaceSpec
from nas.space.arch import Block, Stage

CHOICES = {"kernel": [3, 5], "expansion": [2, 3]}
EXCITE = {"squeeze_excite": (False, True)}


def built(block: type[MBConv] | type[FusedMBConv], *, stride: int = 1, **options: Any) -> Any:
    torch.manual_seed(0)
    return block(BlockPlace(16, 16, stride, stride == 1, CHOICES, options)).train()


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def stage(activation: str = "hardswish", **options: bool) -> Stage:
    return Stage("any", activation, 1, 8, (), tuple(options.items()))


def normed(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_fused_block_is_a_dense_and_a_pointwise_convolution(stride: int) -> None:
    block, x = built(FusedMBConv, stride=stride), noise(2, 8, 6, 4)
    filters = block.expand.resized(block.expand.weight[:16, :8], 3)
    hidden = F.silu(normed(F.conv2d(x, filters, stride=stride, padding=1)))
    expected = normed(F.conv2d(hidden, block.project.weight[:8, :16]))
    if stride == 1:
        expected = x + expected
    found = block(x, stage("silu"), Block(3, 2), Context())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("excited", [False, True])
def test_a_mobilenetv3_block_weights_what_it_projects(excited: bool) -> None:
    block, x = built(MobileNetV3Block, **EXCITE), noise(2, 8, 6, 4)
    hidden = F.hardswish(normed(F.conv2d(x, block.expand.weight[:24, :8])))
    depthwise = block.depthwise.active_weight(24, 5)
    hidden = F.hardswish(normed(F.conv2d(hidden, depthwise, padding=2, groups=24)))
    if excited:
        hidden = block.excite(hidden, Context())
    expected = x + normed(F.conv2d(hidden, block.project.weight[:8, :24]))
    found = block(x, stage(squeeze_excite=excited), Block(5, 3), Context())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_gate_is_a_hard_sigmoid_of_the_means() -> None:
    layer, x = SqueezeExcite(48), noise(2, 24, 5, 4)
    assert layer.reduce.bias is not None
    assert layer.expand.bias is not None
    reduced = x.mean(dim=(2, 3)) @ layer.reduce.weight[:8, :24, 0, 0].T + layer.reduce.bias[:8]
    gate = reduced.clamp(min=0) @ layer.expand.weight[:24, :8, 0, 0].T + layer.expand.bias[:24]
    expected = x * (gate / 6 + 0.5).clamp(0, 1)[..., None, None]
    torch.testing.assert_close(layer(x, Context()), expected)


def test_there_is_no_gate_where_no_architecture_has_one() -> None:
    assert built(MobileNetV3Block, squeeze_excite=(False,)).excite is None


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(16, 8), (72, 24), (96, 24), (120, 32), (240, 64), (480, 120), (672, 168), (960, 240)],
)
def test_squeezed_channels_are_those_of_mobilenetv3(channels: int, expected: int) -> None:
    assert squeezed(channels) == expected


def test_fewer_channels_are_never_squeezed_to_more() -> None:
    counts = [squeezed(channels) for channels in range(8, 4096, 8)]
    assert counts == sorted(counts)


def test_published_size_of_mobilenetv3() -> None:
    """Large has 5,483,032 parameters (torchvision), stem, last convolution and classifier included.

    Its stage of width 80 has expansions of 2.5 and 2.3, and its first block has no 1x1 convolution at first.
    """
    rows = [  # width, squeeze-and-excitation, (kernel, expansion) of each block
        (16, False, [(3, 1)]),
        (24, False, [(3, 4), (3, 3)]),
        (40, True, [(5, 3), (5, 3), (5, 3)]),
        (80, False, [(3, 6), (3, 2), (3, 2), (3, 2)]),
        (112, True, [(3, 6), (3, 6)]),
        (160, True, [(5, 6), (5, 6), (5, 6)]),
    ]
    stages = [
        {
            "type": "mbv3", "activation": "hardswish", "stride": 1, "width": width, "depth": len(blocks),
            "blocks": [{"kernel": kernel, "expansion": expansion} for kernel, expansion in blocks],
            "options": {"squeeze_excite": excited},
        }
        for width, excited, blocks in rows
    ]  # fmt: skip
    data = {
        "name": "published", "task": "crop", "resolution": 224,
        "stem": {"width": 16, "activation": "hardswish"},
        "stages": stages, "necks": {"none": {}}, "heads": {"regression": {}},
    }  # fmt: skip
    with torch.device("meta"):
        net = PoseNet(SearchSpace(SpaceSpec.read(data, "published")), "coco17")
    body = sum(p.numel() for p in net.stages.parameters())
    body += (2 * 80 + 9 + 4) * (200 + 184 + 184 - 3 * 160) - (16 + 2) * 16
    others = (3 * 9 + 2) * 16 + (160 + 2) * 960 + (960 + 1) * 1280 + (1280 + 1) * 1000
    assert body + others == 5_483_032
