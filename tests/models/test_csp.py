"""Cross-stage partial stages: published sizes, what their parts compute, what their slices are."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.graph import Tracer
from nas.layers import Context
from nas.models import PoseNet
from nas.models.blocks.csp import SPP, ChannelAttention, CSPLayer, CSPNeXtBlock, DarknetBlock
from nas.space import ArchManager, SearchSpace, SpaceSpec
from nas.space.arch import Block

WIDTHS = (64, 128, 256, 512, 1024)
CLASSES = 1000


def cspnext(factor: float, depths: tuple[int, ...]) -> SearchSpace:
    """The one network whose body is CSPNeXt of these factors of width and depth, as RTMPose has it."""
    stem, *widths = (int(width * factor) for width in WIDTHS)
    stages: list[dict[str, Any]] = [
        {
            "type": "cspnext", "activation": "silu", "stride": 2, "width": width, "depth": depth,
            "kernel": 5, "expansion": 1,
            "options": {"attention": True, "residual": number < 3, "spp": number == 3},
        }
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True))
    ]  # fmt: skip
    data = {
        "name": "published", "task": "crop", "resolution": 224,
        "stem": {"type": "triple", "width": stem, "activation": "silu"},
        "stages": stages, "necks": {"none": {}}, "heads": {"simcc": {}},
    }  # fmt: skip
    return SearchSpace(SpaceSpec.read(data, "published"))


@pytest.mark.parametrize(
    ("factor", "depths", "params", "macs"),
    [
        (0.375, (1, 1, 1, 1), 2.73e6, 0.34e9),
        (0.5, (1, 2, 2, 1), 4.89e6, 0.66e9),
        (0.75, (2, 4, 4, 2), 13.05e6, 1.93e9),
        (1.0, (3, 6, 6, 3), 27.16e6, 4.19e9),
    ],
    ids=["tiny", "s", "m", "l"],
)
def test_published_sizes_of_cspnext(
    factor: float, depths: tuple[int, ...], params: float, macs: float
) -> None:
    """RTMDet's table of ImageNet classifiers on images of 224: body and linear layer to 1000 classes.

    Its counts of MACs include those of norms and poolings.
    """
    space = cspnext(factor, depths)
    with torch.device("meta"):
        net = PoseNet(space, "coco17")
    body = sum(p.numel() for part in (net.stems, net.stages) for p in part.parameters())
    linear = (int(WIDTHS[-1] * factor) + 1) * CLASSES
    assert abs(body + linear - params) < 0.005e6
    operators = Tracer(space, "coco17")(ArchManager(space).largest()).operators
    found = sum(operator.macs for operator in operators if operator.scope.startswith(("stems", "stages")))
    assert 0.98 * macs < found < 1.01 * macs


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_attention_multiplies_by_a_gate_of_the_means() -> None:
    layer, x = ChannelAttention(8), noise(2, 16, 5, 4)
    weight, bias = layer.gate.weight.flatten(1), layer.gate.bias
    gate = ((x.mean(dim=(2, 3)) @ weight.T + bias) / 6 + 0.5).clamp(0, 1)
    torch.testing.assert_close(layer(x, Context()), x * gate[..., None, None])


def test_attention_over_narrow_halves_reads_and_writes_the_channels_of_both() -> None:
    layer, x = ChannelAttention(8), noise(2, 6, 5, 4)
    kept = [0, 1, 2, 8, 9, 10]
    weight, bias = layer.gate.weight.flatten(1)[kept][:, kept], layer.gate.bias[kept]
    gate = F.hardsigmoid(x.mean(dim=(2, 3)) @ weight.T + bias)
    torch.testing.assert_close(layer(x, Context()), x * gate[..., None, None])


def test_spp_holds_maxima_over_5_9_and_13() -> None:
    """Against poolings side by side, on a narrow input: which columns of `mix` hold which window."""
    torch.manual_seed(0)
    layer, x = SPP(16).train(), noise(2, 8, 17, 15)
    reduced = layer.reduce(x, 4, "relu", Context())
    maps = [reduced, *(F.max_pool2d(reduced, size, 1, size // 2) for size in (5, 9, 13))]
    columns = [part * 8 + channel for part in range(4) for channel in range(4)]
    mixed = F.conv2d(torch.cat(maps, dim=1), layer.mix.conv.weight[:8, columns])
    expected = normed(mixed)
    torch.testing.assert_close(layer(x, "relu", Context()), expected, rtol=1e-4, atol=1e-5)


def csp_layer() -> CSPLayer:
    torch.manual_seed(0)
    choices = {"kernel": [3, 5], "expansion": [1, 2]}
    return CSPLayer(CSPNeXtBlock, 24, 32, (choices,) * 3, attention=True).train()


@pytest.mark.parametrize("residual", [False, True])
def test_a_layer_sends_one_half_through_its_first_blocks(residual: bool) -> None:
    layer, x, context = csp_layer(), noise(2, 24, 6, 5), Context()
    blocks = (Block(3, 2), Block(5, 1))
    main, short = layer.main(x, 8, "silu", context), layer.short(x, 8, "silu", context)
    for module, block in zip(layer.blocks, blocks, strict=False):
        main = module(main, block, "silu", context) + (main if residual else 0)
    both = torch.cat([main, short], dim=1)
    mixed = F.conv2d(both, layer.join.conv.weight[:16, [*range(8), *range(16, 24)]])
    expected = F.silu(F.batch_norm(mixed, None, None, training=True))
    found = layer(x, 16, blocks, "silu", context, residual=residual, attention=False)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    gated = layer(x, 16, blocks, "silu", context, residual=residual, attention=True)
    assert not torch.allclose(gated, expected)


def normed(x: Tensor) -> Tensor:
    return F.relu(F.batch_norm(x, None, None, training=True))


def test_a_block_is_a_dense_and_a_separable_convolution() -> None:
    torch.manual_seed(0)
    block, x, context = (
        CSPNeXtBlock(8, {"kernel": [3, 5], "expansion": [1, 2]}).train(),
        noise(2, 4, 6, 5),
        Context(),
    )
    hidden = normed(F.conv2d(x, block.expand.conv.weight[:8, :4], padding=1))
    hidden = normed(F.conv2d(hidden, block.depthwise.active_weight(8, 3), padding=1, groups=8))
    expected = normed(F.conv2d(hidden, block.project.conv.weight[:4, :8]))
    torch.testing.assert_close(block(x, Block(3, 2), "relu", context), expected, rtol=1e-4, atol=1e-5)


def test_a_darknet_block_is_a_pointwise_and_a_dense_convolution() -> None:
    torch.manual_seed(0)
    block, x = DarknetBlock(8, {"kernel": [3], "expansion": [1, 2]}).train(), noise(2, 4, 6, 5)
    hidden = normed(F.conv2d(x, block.expand.conv.weight[:8, :4]))
    expected = normed(F.conv2d(hidden, block.project.conv.weight[:4, :8], padding=1))
    torch.testing.assert_close(block(x, Block(3, 2), "relu", Context()), expected, rtol=1e-4, atol=1e-5)


def test_no_gradient_outside_the_halves() -> None:
    layer = csp_layer()
    x = noise(2, 24, 6, 5)
    layer(x, 16, (Block(3, 1),), "silu", Context(), residual=True, attention=True).square().sum().backward()
    kept = np.r_[0:8, 16:24]
    assert layer.attention is not None
    for weight, rows, columns in (
        (layer.attention.gate.weight, kept, kept),
        (layer.join.conv.weight, np.arange(16), kept),
    ):
        assert weight.grad is not None
        used = weight.grad.flatten(1) != 0
        inside = torch.zeros_like(used)
        inside[np.ix_(rows, columns)] = True
        assert torch.equal(used, inside)
    assert all(p.grad is None for block in layer.blocks[1:] for p in block.parameters())
