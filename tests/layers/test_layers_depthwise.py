"""The compiled weight gradient of depthwise convolutions, against torch's own."""

import threading

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.layers import Context, ElasticDepthwiseConv2d
from nas.layers.depthwise import learning_convolution
from nas.layers.weight_gradient import weight_gradient


def example(batch: int, channels: int, size: tuple[int, int], kernel: int, stride: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(kernel * stride + channels)
    x = torch.randn(batch, channels, *size, generator=generator).to(memory_format=torch.channels_last)
    weight = torch.randn(channels, 1, kernel, kernel, generator=generator)
    output = F.conv2d(x, weight, None, stride, kernel // 2, groups=channels)
    return x, weight, torch.randn(output.shape, generator=generator)


def exact(x: Tensor, weight: Tensor, gradient: Tensor, stride: int) -> Tensor:
    """In float64, by torch."""
    weight = weight.double().requires_grad_()
    output = F.conv2d(x.double(), weight, None, stride, weight.shape[2] // 2, groups=len(weight))
    output.backward(gradient.double())
    assert weight.grad is not None
    return weight.grad


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [5, 7, 9])
def test_it_is_the_gradient(kernel: int, stride: int) -> None:
    """Maps smaller than the kernel, of odd sides, more channels than a block, fewer images than parts."""
    for batch, channels, size in [(1, 3, (2, 3)), (2, 65, (13, 9)), (9, 8, (8, 24)), (3, 130, (1, 1))]:
        x, weight, gradient = example(batch, channels, size, kernel, stride)
        ours = weight_gradient(x, gradient, kernel=kernel, stride=stride)
        expected = exact(x, weight, gradient, stride)
        assert ours.shape == weight.shape
        torch.testing.assert_close(ours.double(), expected, rtol=1e-4, atol=1e-4)


def test_memory_layout_does_not_matter() -> None:
    x, _, gradient = example(4, 16, (12, 10), 5, 1)
    reference = weight_gradient(x, gradient, kernel=5, stride=1)
    assert torch.equal(weight_gradient(x.contiguous(), gradient.contiguous(), kernel=5, stride=1), reference)
    expanded = gradient[:, :1].expand_as(gradient)  # as the gradient of a mean is
    torch.testing.assert_close(
        weight_gradient(x, expanded, kernel=5, stride=1),
        weight_gradient(x, expanded.clone(), kernel=5, stride=1),
    )


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    x, _, gradient = example(11, 70, (16, 12), 7, 1)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(weight_gradient(x, gradient, kernel=7, stride=1))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], result) for result in results[1:])
    assert threading.active_count() < 20


def test_what_is_not_finite_stays_so() -> None:
    x, _, gradient = example(2, 8, (9, 9), 5, 1)
    gradient[1, 3, 4, 4] = float("nan")
    ours = weight_gradient(x, gradient, kernel=5, stride=1)
    assert ours[3].isnan().all()
    assert ours[:3].isfinite().all()


@pytest.mark.parametrize("stride", [1, 2])
def test_gradcheck(stride: int) -> None:
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *of: learning_convolution(*of, stride), (x, weight))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_learns_as_torch_does_under_autocast(dtype: torch.dtype) -> None:
    x, weight, gradient = example(3, 12, (10, 14), 5, 2)
    gradients = []
    for compiled in (True, False):
        inputs, weights = x.clone().requires_grad_(), weight.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            output = (
                learning_convolution(inputs, weights, 2)
                if compiled
                else F.conv2d(inputs, weights, None, 2, 2, groups=12)
            )
        assert output.dtype == dtype
        output.backward(gradient.to(dtype))
        assert inputs.grad is not None
        assert weights.grad is not None
        gradients.append((output, inputs.grad, weights.grad))
    assert torch.equal(gradients[0][0], gradients[1][0])
    assert torch.equal(gradients[0][1], gradients[1][1])
    precise = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(gradients[0][2], gradients[1][2], rtol=precise, atol=precise * 10)


def test_the_layer_asks_for_it_in_training_only() -> None:
    layer = ElasticDepthwiseConv2d(12, [3, 7]).to(memory_format=torch.channels_last)
    x, context = example(2, 12, (9, 8), 7, 1)[0], Context()
    node = "_LearningConvolutionBackward"
    assert type(layer(x, 7, context).grad_fn).__name__ != node
    layer.compiled_gradient = True
    assert type(layer(x, 7, context).grad_fn).__name__ == node
    assert type(layer(x, 3, context).grad_fn).__name__ != node  # torch's own is as fast
    with torch.no_grad():
        assert torch.equal(layer(x, 7, context), F.conv2d(x, layer.weight, None, 1, 3, groups=12))
    layer.weight.requires_grad_(False)
    assert layer(x, 7, context).grad_fn is None
