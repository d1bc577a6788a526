"""Compiled loops against torch's own: depthwise convolutions, batch norms."""

import threading

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.layers import Context, ElasticBatchNorm2d, ElasticDepthwiseConv2d, activate, norm
from nas.layers.compiled import learning_convolution, learning_norm
from nas.layers.compiled.convolution import convolution, weight_gradient


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
        plain = F.conv2d(x.double(), weight.double(), None, stride, kernel // 2, groups=channels)
        torch.testing.assert_close(convolution(x, weight, stride).double(), plain, rtol=1e-5, atol=1e-5)
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
    x, weight, gradient = example(11, 70, (20, 16), 7, 1)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(weight_gradient(x, gradient, kernel=7, stride=1))
            results.append(convolution(x, weight, 1))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[i % 2], result) for i, result in enumerate(results))
    assert threading.active_count() < 20


def test_threads_of_another_kind_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch's OpenMP is not GNU's, and where a team is smaller than asked for."""
    x, weight, gradient = example(11, 70, (20, 16), 7, 1)
    expected = convolution(x, weight, 1), weight_gradient(x, gradient, kernel=7, stride=1)
    monkeypatch.setattr("nas.layers.compiled.convolution.threads_for", lambda work: 3)
    for team in (None, lambda loop, job, threads, flags: loop(job)):
        monkeypatch.setattr("nas.layers.compiled.team._torchs_team", lambda team=team: team)
        found = convolution(x, weight, 1), weight_gradient(x, gradient, kernel=7, stride=1)
        assert all(map(torch.equal, found, expected))


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


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_learns_as_torch_does_under_autocast(dtype: torch.dtype, stride: int) -> None:
    x, weight, gradient = example(3, 12, (10, 14), 5, stride)
    gradients = []
    for compiled in (True, False):
        inputs, weights = x.clone().requires_grad_(), weight.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            output = (
                learning_convolution(inputs, weights, stride)
                if compiled
                else F.conv2d(inputs, weights, None, stride, 2, groups=12)
            )
        assert output.dtype == dtype
        output.backward(gradient.to(dtype))
        assert inputs.grad is not None
        assert weights.grad is not None
        gradients.append((output, inputs.grad, weights.grad))
    precise = 1e-5 if dtype == torch.float32 else 2e-2
    for ours, torchs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=precise, atol=precise * 10)


def test_the_layer_asks_for_it_in_training_only() -> None:
    layer = ElasticDepthwiseConv2d(12, [3, 7]).to(memory_format=torch.channels_last)
    x, context = example(2, 12, (9, 8), 7, 1)[0], Context()
    node = "_LearningConvolutionBackward"
    assert type(layer(x, 7, context).grad_fn).__name__ != node
    layer.compiled = True
    assert type(layer(x, 7, context).grad_fn).__name__ == node
    assert type(layer(x, 3, context).grad_fn).__name__ != node  # torch's own is as fast
    with torch.no_grad():
        assert torch.equal(layer(x, 7, context), F.conv2d(x, layer.weight, None, 1, 3, groups=12))
    layer.weight.requires_grad_(False)
    assert layer(x, 7, context).grad_fn is None


def normed(x: Tensor, weight: Tensor, bias: Tensor, activation: str | None) -> Tensor:
    """By torch."""
    x = F.batch_norm(x, None, None, weight, bias, training=True)
    return x if activation is None else activate(x, activation)


def maps(batch: int, channels: int, size: tuple[int, int], *, mean: float = 0.5) -> Tensor:
    generator = torch.Generator().manual_seed(channels)
    x = mean + 2 * torch.randn(batch, channels, *size, generator=generator)
    return x.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
@pytest.mark.parametrize(
    ("batch", "channels", "size"), [(1, 3, (2, 3)), (2, 65, (13, 9)), (9, 8, (8, 24)), (30, 130, (1, 1))]
)
def test_a_norm_is_torchs_in_both_directions(
    batch: int, channels: int, size: tuple[int, int], activation: str | None
) -> None:
    x = maps(batch, channels, size)
    generator = torch.Generator().manual_seed(1)
    weight, bias = 3 * torch.rand(2, channels, generator=generator)
    gradient = torch.randn(x.shape, generator=generator)
    results = []
    for number in (torch.float32, torch.float64):
        inputs = [tensor.to(number).clone().requires_grad_() for tensor in (x, weight, bias)]
        if number == torch.float32:
            output = learning_norm(*inputs, activation=activation, eps=1e-5)
        else:
            output = normed(*inputs, activation)
        results.append((output, *torch.autograd.grad(output, inputs, gradient.to(number))))
    for ours, exact_ in zip(*results, strict=True):
        torch.testing.assert_close(ours.double(), exact_, rtol=1e-4, atol=2e-4)
    assert results[0][0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("activation", [None, "relu6"])
def test_gradcheck_of_a_norm(activation: str | None) -> None:
    x, weight, bias = maps(3, 4, (3, 5)).double(), torch.rand(4).double() + 1, torch.rand(4).double()
    inputs = [tensor.requires_grad_() for tensor in (x, weight, bias)]
    assert torch.autograd.gradcheck(lambda *of: learning_norm(*of, activation=activation, eps=1e-5), inputs)


def test_a_large_mean_costs_no_digits() -> None:
    x, ones = maps(4, 8, (16, 16), mean=3000.0), torch.ones(8)
    ours = learning_norm(x, ones.clone().requires_grad_(), ones, activation=None, eps=1e-5)
    expected = normed(x.double(), ones.double(), ones.double(), None)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-3, atol=1e-3)


def test_the_number_of_threads_changes_no_bit_of_a_norm() -> None:
    x = maps(11, 70, (40, 36)).requires_grad_()
    weight, bias = torch.rand(2, 70).requires_grad_()
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            output = learning_norm(x, weight, bias, activation="relu", eps=1e-5)
            results.append((output, *torch.autograd.grad(output, (x, weight, bias), output)))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(ours, first) for ours, first in zip(result, results[0], strict=True))


def test_a_norm_hides_nothing_that_is_not_finite() -> None:
    for bad in (float("nan"), float("inf")):
        x, ones = maps(2, 5, (4, 4)), torch.ones(5, requires_grad=True)
        x[1, 3, 2, 2] = bad
        output = learning_norm(x.requires_grad_(), ones, ones, activation="relu", eps=1e-5)
        assert not output[:, 3].isfinite().all()
        assert output[:, :3].isfinite().all()
        (gradient,) = torch.autograd.grad(output, x, torch.ones_like(output))
        assert not gradient[:, 3].isfinite().all()


@pytest.mark.parametrize("activation", [None, "relu", "relu6", "hardswish"])
def test_the_norm_layer_learns_by_it(activation: str | None) -> None:
    layer, context = ElasticBatchNorm2d(12), Context()
    x = maps(8, 8, (64, 64))

    def normed(x: Tensor) -> Tensor:
        return layer(x, context) if activation is None else layer.activated(x, context, activation)

    def learned() -> tuple[str, Tensor]:
        output = normed(x)
        found, node = [], output.grad_fn
        while node is not None and not found:
            found = [type(node).__name__] if "Norm" in type(node).__name__ else []
            node = node.next_functions[0][0]
        return found[0], output

    plain, expected = learned()
    layer.compiled = True
    ours, output = learned()
    assert (plain, ours) == ("NativeBatchNormBackward0", "_LearningNormBackward")
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert torch.equal(normed(x), expected)  # who asks for no gradient in training, gets torch's
    assert "_LearningNormBackward" not in str(layer(x[:1], context).grad_fn)  # torch's own is as fast


@pytest.mark.parametrize("activation", [None, "relu", "relu6", "hardswish"])
def test_the_norm_layer_is_calibrated_and_scored_by_it(
    activation: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x = ElasticBatchNorm2d(16).eval(), maps(8, 12, (64, 64), mean=2.0)
    layer.key = "norm"
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter)
    calls: list[str] = []
    scaling = norm.scaling_norm
    monkeypatch.setattr(norm, "scaling_norm", lambda *a, **k: calls.append("scaled") or scaling(*a, **k))

    @torch.no_grad()
    def passes(x: Tensor) -> list[Tensor]:
        found: dict[str, tuple[Tensor, Tensor]] = {}

        def normed(context: Context) -> Tensor:
            return layer(x, context) if activation is None else layer.activated(x, context, activation)

        def observe(key: str, mean: Tensor, variance: Tensor) -> None:
            found[key] = (mean.double(), variance.double())

        calibrated = normed(Context(observe=observe))
        values = {key: (mean.float(), variance.float()) for key, (mean, variance) in found.items()}
        return [calibrated, *found["norm"], normed(Context(values))]

    plain = passes(x)
    layer.compiled = True
    for ours, torchs in zip(passes(x), plain, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=1e-5)
    assert len(calls) == 2
    passes(x[:1])  # torch's own is as fast
    with torch.no_grad():
        layer(x, Context(capture=lambda key, parameters: None))  # what is captured is what torch computes
    layer(x, Context({"norm": (plain[1].float(), plain[2].float())}))  # somebody asks for a gradient
    assert len(calls) == 2
