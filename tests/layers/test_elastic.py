"""Every elastic layer: shapes, the slice it uses, gradients outside of it, what it reports."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.layers import (
    Axis,
    Context,
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticConvTranspose2d,
    ElasticDepthwiseConv2d,
    ElasticKernelConv2d,
    GatedAttention,
    ResampledLinear,
    ScaleNorm,
    StatisticsMissingError,
    interpolation_matrix,
)
from nas.layers.elastic import joined

Call = Callable[[Any, Tensor, Context], Tensor]

HEIGHTS, WIDTHS, BINS = Axis.samples([4, 8]), Axis.samples([6, 3]), Axis.samples([12, 24])
CHANNELS = Axis.channels([16, 32])

CASES: dict[str, tuple[Callable[[], nn.Module], Call, tuple[int, ...], tuple[int, ...]]] = {
    "conv": (
        lambda: ElasticConv2d(16, 32, 3, padding=1, bias=True),
        lambda layer, x, context: layer(x, 24, context),
        (2, 8, 6, 5),
        (2, 24, 6, 5),
    ),
    "conv over segments": (
        lambda: ElasticConv2d(16, 32, 1, bias=False),
        lambda layer, x, context: layer(x, 8, context, segments=((0, 3), (8, 5))),
        (2, 8, 6, 5),
        (2, 8, 6, 5),
    ),
    "conv to segments": (
        lambda: ElasticConv2d(16, 32, 1, bias=True),
        lambda layer, x, context: layer(x, ((0, 4), (16, 3)), context, segments=((0, 3), (8, 5))),
        (2, 8, 6, 5),
        (2, 7, 6, 5),
    ),
    "transposed conv": (
        lambda: ElasticConvTranspose2d(16, 32, 4, stride=2, padding=1, bias=True),
        lambda layer, x, context: layer(x, 24, context),
        (2, 8, 6, 5),
        (2, 24, 12, 10),
    ),
    "depthwise": (
        lambda: ElasticDepthwiseConv2d(16, (3, 5, 7), stride=2),
        lambda layer, x, context: layer(x, 3, context),
        (2, 8, 6, 6),
        (2, 8, 3, 3),
    ),
    "elastic kernel": (
        lambda: ElasticKernelConv2d(16, 32, (3, 5), stride=2),
        lambda layer, x, context: layer(x, 24, 3, context),
        (2, 8, 6, 6),
        (2, 24, 3, 3),
    ),
    "batch norm": (
        lambda: ElasticBatchNorm2d(16),
        lambda layer, x, context: layer(x, context),
        (2, 8, 6, 5),
        (2, 8, 6, 5),
    ),
    "resampled linear": (
        lambda: ResampledLinear([HEIGHTS, WIDTHS], BINS),
        lambda layer, x, context: layer(x, 12, context),
        (2, 5, 4, 3),
        (2, 5, 12),
    ),
    "grid to channels": (
        lambda: ResampledLinear([HEIGHTS, WIDTHS], CHANNELS, bias=False),
        lambda layer, x, context: layer(x, 16, context),
        (2, 5, 8, 3),
        (2, 5, 16),
    ),
    "channels to bins": (
        lambda: ResampledLinear([CHANNELS], BINS),
        lambda layer, x, context: layer(x, 12, context),
        (2, 5, 16),
        (2, 5, 12),
    ),
    "channels to channels": (
        lambda: ResampledLinear([CHANNELS], CHANNELS),
        lambda layer, x, context: layer(x, 16, context),
        (2, 5, 16),
        (2, 5, 16),
    ),
    "scale norm": (
        ScaleNorm,
        lambda layer, x, context: layer(x, context),
        (2, 5, 4, 3),
        (2, 5, 4, 3),
    ),
    "gated attention": (
        lambda: GatedAttention(24, shared=8),
        lambda layer, x, context: layer(x, context),
        (2, 5, 16),
        (2, 5, 16),
    ),
}


MIXED = ("depthwise", "elastic kernel", "resampled linear", "grid to channels", "channels to bins")
"""What is active is computed from all of the weight."""
SLICED = [name for name in CASES if name not in MIXED]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, Call, Tensor, tuple[int, ...]]:
    build, call, shape, expected = CASES[request.param]
    torch.manual_seed(0)
    return build(), call, torch.randn(shape), expected


def test_shape(case: tuple[nn.Module, Call, Tensor, tuple[int, ...]]) -> None:
    layer, call, x, expected = case
    assert call(layer, x, Context()).shape == expected


@pytest.mark.parametrize("name", SLICED)
def test_captured_parameters_are_those_with_gradients(name: str) -> None:
    """A weight has a gradient exactly where the captured slice lies."""
    build, call, shape, _ = CASES[name]
    torch.manual_seed(0)
    layer, x = build(), torch.randn(shape)
    captured: dict[str, Tensor] = {}

    def capture(key: str, active: Mapping[str, Tensor | None]) -> None:
        named = {f"{key}.{name}".lstrip("."): tensor for name, tensor in active.items()}
        captured.update({name: tensor for name, tensor in named.items() if tensor is not None})

    for name, module in layer.named_modules():
        module.key = name
    call(layer, x, Context(capture=capture))
    output = call(layer, x, Context())
    (output * torch.randn_like(output)).sum().backward()
    for own, parameter in layer.named_parameters():
        assert parameter.grad is not None
        assert captured[own].numel() == int((parameter.grad != 0).sum())


def test_depthwise_gradient_stays_inside_the_slice() -> None:
    layer = ElasticDepthwiseConv2d(16, (3, 5, 7))
    layer(torch.randn(2, 8, 6, 6), 5, Context()).square().sum().backward()
    grad = layer.weight.grad
    assert grad is not None
    outside = grad.clone()
    outside[:8, :, 1:6, 1:6] = 0
    assert not outside.any()
    assert grad[:8, :, 1:6, 1:6].any()
    assert layer.transform_3.grad is None


def test_kernel_transforms_start_as_the_centre() -> None:
    layer = ElasticDepthwiseConv2d(4, (3, 5, 7))
    assert torch.equal(layer.active_weight(4, 5), layer.weight[:, :, 1:6, 1:6])
    assert torch.equal(layer.active_weight(2, 3), layer.weight[:2, :, 2:5, 2:5])


def test_kernel_transforms_are_chained() -> None:
    layer = ElasticDepthwiseConv2d(4, (3, 5, 7))
    with torch.no_grad():
        layer.transform_5.copy_(torch.randn(25, 25))
        layer.transform_3.copy_(torch.randn(9, 9))
    five = layer.weight[:, 0, 1:6, 1:6].reshape(4, 25) @ layer.transform_5.T
    three = five.reshape(4, 5, 5)[:, 1:4, 1:4].reshape(4, 9) @ layer.transform_3.T
    torch.testing.assert_close(layer.active_weight(4, 3).reshape(4, 9), three)


def test_kernels_of_all_filters_and_channels_go_through_one_transform() -> None:
    layer, x = ElasticKernelConv2d(6, 8, (3, 5)), torch.randn(2, 4, 7, 6)
    with torch.no_grad():
        layer.transform_3.copy_(torch.randn(9, 9))
    centre = layer.weight[:5, :4, 1:4, 1:4].flatten(2)
    weight = torch.einsum("ts,ocs->oct", layer.transform_3, centre).reshape(5, 4, 3, 3)
    torch.testing.assert_close(
        layer(x, 5, 3, Context()), F.conv2d(x, weight, padding=1), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(layer(x, 5, 5, Context()), F.conv2d(x, layer.weight[:5, :4], padding=2))


def test_kernel_that_is_no_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel 5"):
        ElasticDepthwiseConv2d(4, (3, 7)).active_weight(4, 5)


def test_segments_pick_the_matching_columns() -> None:
    layer = ElasticConv2d(16, 4, 1, bias=False)
    x = torch.randn(1, 5, 2, 2)
    columns = layer.weight[:, [2, 3, 10, 11, 12]]
    torch.testing.assert_close(layer(x, 4, Context(), segments=((2, 2), (10, 3))), F.conv2d(x, columns))


def test_segments_pick_the_matching_filters() -> None:
    layer = ElasticConv2d(4, 16, 1)
    assert layer.bias is not None
    x, rows = torch.randn(1, 4, 2, 2), [2, 3, 10, 11, 12]
    found = layer(x, ((2, 2), (10, 3)), Context())
    torch.testing.assert_close(found, F.conv2d(x, layer.weight[rows], layer.bias[rows]))


def test_segments_that_are_all_of_a_tensor_copy_nothing() -> None:
    weight = torch.randn(6, 4)
    assert joined(weight, ((0, 2), (2, 4))) is weight
    assert joined(weight, ((0, 2), (2, 2)), dim=1) is weight
    assert joined(weight, ((0, 1), (1, 2)))._base is weight
    assert torch.equal(joined(weight, ((4, 2), (0, 1))), weight[[4, 5, 0]])


def test_batch_norm_keeps_no_statistics_and_refuses_to_score() -> None:
    norm = ElasticBatchNorm2d(8)
    norm(torch.randn(4, 8, 3, 3), Context())
    assert norm.running_mean is None
    norm.eval()
    with pytest.raises(StatisticsMissingError):
        norm(torch.randn(4, 8, 3, 3), Context())


def test_interpolation_matrix_is_exact_on_lines() -> None:
    """A straight line sampled at 12 cells, resampled to 6, is the line at the centres of 6 cells."""
    cells = (torch.arange(12) + 0.5) / 12
    expected = (torch.arange(6) + 0.5) / 6
    torch.testing.assert_close(interpolation_matrix(6, 12) @ cells, expected)
    torch.testing.assert_close(interpolation_matrix(7, 12).sum(dim=1), torch.ones(7))


@pytest.mark.parametrize(("height", "width"), [(8, 6), (8, 3), (4, 6), (4, 3)])
def test_height_width_and_bins_are_resampled_each_for_itself(height: int, width: int) -> None:
    """Against numpy's interpolation of the stored weight, axis by axis."""

    def line(values: np.ndarray, size: int) -> np.ndarray:
        centres = (np.arange(size) + 0.5) * len(values) / size - 0.5
        return np.interp(centres, np.arange(len(values)), values)

    layer = ResampledLinear([HEIGHTS, WIDTHS], BINS)
    nn.init.normal_(layer.bias)
    weight, bias = layer.active_parameters(12, height, width)
    expected = layer.weight.detach().double().numpy()
    for axis, size in enumerate((12, height, width)):
        expected = np.apply_along_axis(line, axis, expected, size)
    expected = expected * (8 / height) * (6 / width)
    np.testing.assert_allclose(weight.detach().numpy(), expected, atol=1e-7)
    np.testing.assert_allclose(bias.detach().numpy(), line(layer.bias.detach().numpy(), 12), atol=1e-6)


def test_resampled_weights_stay_fp32_under_autocast() -> None:
    layer = ResampledLinear([HEIGHTS, WIDTHS], BINS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        weight, _ = layer.active_parameters(12, 4, 3)
    assert weight.dtype == torch.float32


def test_scale_norm_counts_the_active_entries() -> None:
    """Every token, of any grid, gets the root mean square `weight`; one of zeros stays zero."""
    norm = ScaleNorm()
    nn.init.constant_(norm.weight, 0.7)
    for shape in ((2, 3, 8, 6), (2, 3, 4, 3), (2, 3, 16)):
        x = 5 * torch.randn(shape)
        x[0, 1] = 0
        found = norm(x, Context())
        length = found.square().flatten(2).mean(dim=2).sqrt()
        expected = torch.full((2, 3), 0.7)
        expected[0, 1] = 0
        torch.testing.assert_close(length, expected)
        cosine = F.cosine_similarity(found.flatten(2), x.flatten(2), dim=2)
        torch.testing.assert_close(cosine, (expected > 0).float())
    x = torch.zeros(1, 2, 4, requires_grad=True)
    norm(x, Context()).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_gated_attention_is_the_papers_formula() -> None:
    """u * (relu(q k^T / sqrt(s))^2 v), projected, plus the scaled token: of 16 of 24 channels."""
    layer = GatedAttention(24, shared=8).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 5, 16, dtype=torch.float64)
    own = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}

    def silu(values: np.ndarray) -> np.ndarray:
        return values / (1 + np.exp(-values))

    token = x.numpy() / np.sqrt((x.numpy() ** 2).mean(axis=2, keepdims=True)) * own["norm.weight"]
    gate = silu(token @ own["gate"][:32, :16].T)
    value = silu(token @ own["value"][:32, :16].T)
    base = silu(token @ own["base"][:, :16].T)
    query = base * own["query_scale"] + own["query_shift"]
    key = base * own["key_scale"] + own["key_shift"]
    attention = np.maximum(np.einsum("bis,bjs->bij", query, key) / np.sqrt(8), 0) ** 2
    mixed = gate * np.einsum("bij,bje->bie", attention, value)
    expected = x.numpy() * own["residual"][:16] + mixed @ own["project"][:16, :32].T
    np.testing.assert_allclose(layer(x, Context()).detach().numpy(), expected, rtol=1e-10)


def test_resampled_linear_keeps_the_response_to_a_constant_map() -> None:
    layer = ResampledLinear([HEIGHTS, WIDTHS], Axis.samples([24]))
    large = layer(torch.ones(1, 1, 8, 6), 24, Context())
    small = layer(torch.ones(1, 1, 4, 3), 24, Context())
    torch.testing.assert_close(large, small, rtol=1e-4, atol=1e-5)


def test_resampled_linear_at_its_largest_grid_is_the_plain_layer() -> None:
    layer = ResampledLinear([HEIGHTS, WIDTHS], BINS)
    x = torch.randn(2, 3, 8, 6)
    assert torch.equal(layer(x, 24, Context()), F.linear(x.flatten(2), layer.weight.flatten(1), layer.bias))
