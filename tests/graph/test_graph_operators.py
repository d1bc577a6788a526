"""Every operator record against torch: shapes while tracing, values through onnxruntime."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nas.graph import UnknownOperatorError, kinds, register
from nas.graph.registry import Record, record_of

MAPS = (1, 6, 8, 10)
ROWS = (1, 6, 20)


def tensor(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def integers(x: torch.Tensor) -> torch.Tensor:
    return (x * 5).floor().long()


def positive(x: torch.Tensor) -> torch.Tensor:
    return x.abs() + 0.5


def distinct(x: torch.Tensor) -> torch.Tensor:
    """No two entries are equal, so that orders are settled."""
    return x + torch.arange(x.numel(), dtype=x.dtype).reshape(x.shape) * 1e-3


CASES = {
    "conv": [
        (lambda x: F.conv2d(x, tensor(4, 6, 3, 3), tensor(4), 2, 1), MAPS),
        (lambda x: F.conv2d(x, tensor(6, 1, 5, 5), None, (2, 1), (2, 2), groups=6), MAPS),
        (lambda x: F.conv2d(x, tensor(4, 3, 3, 3), None, 1, 2, 2, 2), MAPS),
    ],
    "conv_transpose": [
        (lambda x: F.conv_transpose2d(x, tensor(6, 4, 4, 4), tensor(4), 2, 1), MAPS),
        (lambda x: F.conv_transpose2d(x, tensor(6, 2, 3, 3), None, 2, 1, 1, groups=3), MAPS),
    ],
    "linear": [
        (lambda x: F.linear(x, tensor(5, 20), tensor(5)), ROWS),
        (lambda x: F.linear(x.flatten(1), tensor(5, 120)), ROWS),
        (lambda x: F.linear(x.flatten(1), tensor(5, 120), tensor(5)), ROWS),
        (lambda x: F.linear(x, tensor(5, 20)), ROWS),
    ],
    "matmul": [
        (lambda x: torch.matmul(x, x.transpose(1, 2)), ROWS),
        (lambda x: x @ tensor(20, 3), ROWS),
        (lambda x: tensor(4, 6) @ x, ROWS),
    ],
    "batch_norm": [(lambda x: F.batch_norm(x, tensor(6), positive(tensor(6)), tensor(6), tensor(6)), MAPS)],
    "add": [
        (lambda x: x + tensor(6, 1, 1), MAPS),
        (lambda x: 2 + integers(x), MAPS),
        (lambda x: integers(x) + 0.5, MAPS),
        (lambda x: (x > 0) + x, MAPS),
    ],
    "sub": [(lambda x: 1 - x, MAPS), (lambda x: tensor(8, 10) - x, MAPS)],
    "mul": [(lambda x: x * (x > 0), MAPS), (lambda x: integers(x) * 3, MAPS)],
    "div": [
        (lambda x: 1 / positive(x), MAPS),
        (lambda x: integers(x) / 4, MAPS),
        (lambda x: torch.div(integers(x), 4, rounding_mode="floor"), MAPS),
        (lambda x: torch.div(integers(x), 4, rounding_mode="trunc"), MAPS),
        (lambda x: torch.div(x, 0.3, rounding_mode="floor"), MAPS),
    ],
    "floor_divide": [(lambda x: integers(x) // 3, MAPS), (lambda x: integers(x) // -3, MAPS)],
    "remainder": [(lambda x: integers(x) % 3, MAPS), (lambda x: torch.remainder(x, 0.75), MAPS)],
    "pow": [(lambda x: positive(x) ** 1.5, MAPS), (lambda x: x**2, MAPS)],
    "maximum": [(lambda x: torch.maximum(x, tensor(*MAPS)), MAPS)],
    "minimum": [(lambda x: torch.minimum(x, tensor(*MAPS)), MAPS)],
    "eq": [(lambda x: x == F.max_pool2d(x, 3, 1, 1), MAPS), (lambda x: integers(x) == 2, MAPS)],
    "ne": [(lambda x: integers(x) != 2, MAPS)],
    "lt": [(lambda x: x < 0.1, MAPS)],
    "le": [(lambda x: integers(x) <= 1, MAPS)],
    "gt": [(lambda x: x > 0.1, MAPS)],
    "ge": [(lambda x: integers(x) >= 1, MAPS)],
    "and": [(lambda x: (x > 0) & (x < 1), MAPS)],
    "or": [(lambda x: (x < 0) | (x > 1), MAPS)],
    "xor": [(lambda x: torch.logical_xor(x < 0, x > -1), MAPS)],
    "not": [(lambda x: ~(x < 0), MAPS)],
    "where": [
        (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), MAPS),
        (lambda x: torch.where(x > 0, integers(x), 0.5), MAPS),
    ],
    "masked_fill": [(lambda x: x.masked_fill(x < 0, -1.0), MAPS)],
    "clamp": [
        (lambda x: x.clamp(-0.5, 0.5), MAPS),
        (lambda x: integers(x).clamp(min=0), MAPS),
        (lambda x: torch.clip(x, max=0.2), MAPS),
    ],
    "relu": [(lambda x: F.relu(x, inplace=True), MAPS)],
    "relu6": [(lambda x: F.relu6(x * 6), MAPS)],
    "silu": [(F.silu, MAPS)],
    "hardswish": [(lambda x: F.hardswish(x * 3), MAPS)],
    "hardsigmoid": [(lambda x: F.hardsigmoid(x * 3), MAPS)],
    "leaky_relu": [(lambda x: F.leaky_relu(x, 0.2), MAPS)],
    "sigmoid": [(torch.sigmoid, MAPS)],
    "tanh": [(torch.tanh, MAPS)],
    "softplus": [(F.softplus, MAPS)],
    "exp": [(torch.exp, MAPS)],
    "log": [(lambda x: positive(x).log(), MAPS)],
    "sqrt": [(lambda x: torch.sqrt(positive(x)), MAPS)],
    "rsqrt": [(lambda x: torch.rsqrt(positive(x)), MAPS)],
    "square": [(lambda x: x.square(), MAPS), (lambda x: integers(x).square(), MAPS)],
    "reciprocal": [(lambda x: positive(x).reciprocal(), MAPS)],
    "floor": [(lambda x: torch.floor(x * 3), MAPS)],
    "ceil": [(lambda x: torch.ceil(x * 3), MAPS)],
    "round": [(lambda x: torch.round((x * 4).floor() / 2), MAPS)],
    "erf": [(torch.erf, MAPS)],
    "sign": [(lambda x: torch.sign(integers(x)), MAPS), (lambda x: torch.sign(x), MAPS)],
    "abs": [(lambda x: abs(integers(x)), MAPS)],
    "neg": [(lambda x: -x, MAPS)],
    "softmax": [(lambda x: torch.softmax(x, 1), MAPS), (lambda x: F.softmax(x, dim=-1), MAPS)],
    "log_softmax": [(lambda x: F.log_softmax(x, dim=2), MAPS)],
    "cast_to": [
        (lambda x: (x > 0).to(x.dtype), MAPS),
        (lambda x: x.to(torch.device("cpu"), torch.int32), MAPS),
    ],
    "cast_float": [(lambda x: integers(x).float(), MAPS)],
    "cast_double": [(lambda x: x.double(), MAPS)],
    "cast_half": [(lambda x: x.half(), MAPS)],
    "cast_long": [(lambda x: (x * 4).long(), MAPS)],
    "cast_int": [(lambda x: (x * 4).int(), MAPS)],
    "cast_bool": [(lambda x: integers(x).bool(), MAPS)],
    "cast_type_as": [(lambda x: integers(x).type_as(x), MAPS)],
    "reshape": [(lambda x: x.reshape(2, 3, -1), MAPS)],
    "view": [(lambda x: x.view(1, 6, 80), MAPS)],
    "flatten": [(lambda x: x.flatten(2), MAPS), (lambda x: torch.flatten(x, 1), MAPS)],
    "unflatten": [(lambda x: x.unflatten(1, (2, 3)), MAPS)],
    "squeeze": [(lambda x: x[:, :1].squeeze(1), MAPS)],
    "unsqueeze": [(lambda x: x.unsqueeze(-1), MAPS)],
    "view_as": [(lambda x: x.view_as(torch.zeros(6, 80)), MAPS)],
    "reshape_as": [(lambda x: x.reshape_as(torch.zeros(6, 80)), MAPS)],
    "expand": [(lambda x: x[:, :, :1].expand(-1, -1, 4, -1), MAPS)],
    "expand_as": [(lambda x: x[:, :1].expand_as(x), MAPS)],
    "broadcast_to": [(lambda x: torch.broadcast_to(x[:, :1], (3, 4, 8, 10)), MAPS)],
    "split": [
        (lambda x: torch.split(x, 4, dim=1), MAPS),
        (lambda x: x.split([1, 2, 3], 1), MAPS),
    ],
    "chunk": [(lambda x: x.chunk(4, 1), MAPS), (lambda x: torch.chunk(x, 2, dim=-1), MAPS)],
    "unbind": [(lambda x: x.unbind(1), ROWS), (lambda x: list(x), ROWS)],
    "cat": [
        (lambda x: torch.cat([x, tensor(1, 2, 8, 10), x * 2], dim=1), MAPS),
        (lambda x: torch.cat([x, integers(x)], dim=-1), MAPS),
    ],
    "stack": [(lambda x: torch.stack([x, x + 1], dim=3), MAPS), (lambda x: torch.stack([x, -x], -1), MAPS)],
    "transpose": [(lambda x: x.transpose(1, -1), MAPS), (lambda x: x.mT, MAPS)],
    "t": [(lambda x: x.flatten(1).t(), MAPS)],
    "permute": [(lambda x: x.permute(0, 2, 3, 1), MAPS), (lambda x: torch.permute(x, (3, 0, 1, 2)), MAPS)],
    "slice": [
        (lambda x: x[:, 1:4], MAPS),
        (lambda x: x[..., 0], MAPS),
        (lambda x: x[0, :, None, 2:-1:2, -3], MAPS),
        (lambda x: x[:, [3, 0, 5]], MAPS),
        (lambda x: x[:, :, torch.tensor([[0, 1], [7, 2]])], MAPS),
        (lambda x: (x[:, :3], x[:, 3:].unsqueeze(4)), MAPS),
    ],
    "narrow": [(lambda x: x.narrow(1, 2, 3), MAPS)],
    "select": [(lambda x: x.select(-1, -2), MAPS)],
    "flip": [(lambda x: x.flip(3), MAPS), (lambda x: torch.flip(x, (1, -1)), MAPS)],
    "repeat": [(lambda x: x.repeat(1, 2, 1, 3), MAPS), (lambda x: x.repeat(2, 1, 1, 1, 1), MAPS)],
    "pad": [
        (lambda x: F.pad(x, (1, 2, 0, 3), value=0.5), MAPS),
        (lambda x: F.pad(x, (2, 1, 1, 1), mode="replicate"), MAPS),
        (lambda x: F.pad(x, (2, 1, 1, 1), mode="reflect"), MAPS),
    ],
    "sum": [
        (lambda x: x.sum(), MAPS),
        (lambda x: torch.sum(x, dim=(1, -1), keepdim=True), MAPS),
        (lambda x: (x > 0).sum(dim=1), MAPS),
    ],
    "mean": [(lambda x: x.mean(dim=(2, 3)), MAPS), (lambda x: x.mean(1, keepdim=True), MAPS)],
    "amax": [(lambda x: x.amax(dim=(2, 3)), MAPS), (lambda x: torch.amax(x, -1, keepdim=True), MAPS)],
    "amin": [(lambda x: x.amin(dim=1), MAPS)],
    "norm": [(lambda x: x.norm(dim=-1, keepdim=True), MAPS), (lambda x: torch.norm(x, dim=1), MAPS)],
    "vector_norm": [
        (lambda x: torch.linalg.vector_norm(x, dim=-1), MAPS),
        (lambda x: torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True), MAPS),
    ],
    "argmax": [
        (lambda x: distinct(x).argmax(2), MAPS),
        (lambda x: torch.argmax(distinct(x).flatten(2), dim=2, keepdim=True), MAPS),
        (lambda x: torch.argmax(distinct(x)), MAPS),
    ],
    "argmin": [(lambda x: distinct(x).argmin(dim=-1), MAPS)],
    "max": [
        (lambda x: distinct(x).max(dim=1), MAPS),
        (lambda x: distinct(x).max(2, keepdim=True).indices, MAPS),
        (lambda x: x.max(), MAPS),
    ],
    "min": [(lambda x: torch.min(distinct(x), dim=1), MAPS), (lambda x: torch.min(x), MAPS)],
    "topk": [
        (lambda x: torch.topk(distinct(x), 5, dim=2), ROWS),
        (lambda x: distinct(x).topk(3, largest=False).values, ROWS),
    ],
    "gather": [
        (lambda x: x.gather(2, torch.argsort(tensor(*ROWS), 2)), ROWS),
        (lambda x: torch.gather(x, 2, distinct(x).topk(4, dim=2).indices[:, :3]), ROWS),
    ],
    "index_select": [(lambda x: x.index_select(1, torch.tensor([4, 0, 0])), ROWS)],
    "max_pool": [
        (lambda x: F.max_pool2d(x, 5, stride=1, padding=2), MAPS),
        (lambda x: F.max_pool2d(x, (2, 3), ceil_mode=True), MAPS),
    ],
    "avg_pool": [(lambda x: F.avg_pool2d(x, 3, 2, 1), MAPS)],
    "global_avg_pool": [(lambda x: F.adaptive_avg_pool2d(x, 1), MAPS)],
    "interpolate": [
        (lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"), MAPS),
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), MAPS),
        (lambda x: F.interpolate(x, size=(12, 25), mode="bilinear", align_corners=True), MAPS),
        (lambda x: F.interpolate(x, size=(5, 7), mode="bilinear"), MAPS),
        (lambda x: F.interpolate(x, size=(16, 30)), MAPS),
    ],
    "pixel_shuffle": [(lambda x: F.pixel_shuffle(x[:, :4], 2), MAPS)],
}
RESOLVED_WHILE_TRACING = {
    *("identity", "dropout", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"),
}


def test_every_record_has_a_case() -> None:
    assert set(CASES) | RESOLVED_WHILE_TRACING == set(kinds())


@pytest.mark.parametrize(
    ("kind", "function", "shape"),
    [(kind, function, shape) for kind, cases in CASES.items() for function, shape in cases],
    ids=[f"{kind}-{number}" for kind, cases in CASES.items() for number in range(len(cases))],
)
def test_record_agrees_with_torch(kind, function, shape, run_function) -> None:
    x = tensor(*shape, seed=3)
    expected = function(x.clone())
    expected = expected if isinstance(expected, tuple | list) else (expected,)

    graph, outputs = run_function(function, x)

    assert kind in {operator.kind for operator in graph.operators}
    for position, want in enumerate(expected):
        traced = graph.types[graph.outputs[f"out{position}"]]
        assert (traced.shape, traced.dtype) == (want.shape, want.dtype)
        found = outputs[f"out{position}"]
        assert found.dtype == want.numpy().dtype
        np.testing.assert_allclose(found, want.numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        (lambda x: F.conv2d(x, tensor(4, 6, 3, 3), None, 2, 1), 4 * 6 * 9 * 4 * 5),
        (lambda x: F.conv2d(x, tensor(6, 1, 5, 5), None, 1, 2, groups=6), 6 * 25 * 8 * 10),
        (lambda x: F.conv_transpose2d(x, tensor(6, 4, 4, 4), None, 2, 1), 6 * 4 * 16 * 8 * 10),
        (lambda x: F.conv_transpose2d(x, tensor(6, 2, 3, 3), None, 2, groups=3), 6 * 2 * 9 * 8 * 10),
        (lambda x: F.linear(x, tensor(7, 10)), 6 * 8 * 7 * 10),
        (lambda x: x @ x.transpose(2, 3), 6 * 8 * 10 * 8),
        (lambda x: F.relu(x) + x, 0),
    ],
)
def test_macs_count_every_true_product_once(function, macs, trace_function) -> None:
    assert trace_function(function, MAPS).macs == macs


def test_what_changes_nothing_is_no_operator(trace_function) -> None:
    def function(x):
        return F.dropout(x.contiguous().float()[:, :, 0:8].reshape(MAPS).narrow(1, 0, 6), training=False)

    assert trace_function(function, MAPS).operators == ()


def test_filled_tensors_are_constants(run_function) -> None:
    def function(x):
        filled = torch.ones_like(x) + x.new_full((6, 1, 1), 2.0) + x.new_zeros(1) + torch.full_like(x, 3.0)
        return x + filled

    x = tensor(*MAPS)
    graph, outputs = run_function(function, x)
    assert [operator.kind for operator in graph.operators] == ["add"]
    np.testing.assert_array_equal(outputs["out0"], function(x).numpy())


def test_an_unregistered_function_is_named(trace_function) -> None:
    with pytest.raises(UnknownOperatorError, match="cumsum"):
        trace_function(lambda x: x.cumsum(1), MAPS)
    with pytest.raises(UnknownOperatorError, match="relu_"):
        trace_function(lambda x: x.relu_(), MAPS)


def test_control_flow_on_values_is_refused(trace_function) -> None:
    with pytest.raises(TypeError, match="branch"):
        trace_function(lambda x: x if x.sum() > 0 else -x, MAPS)


def test_a_function_belongs_to_one_record() -> None:
    with pytest.raises(ValueError, match="conv2d"):
        register(Record("another", ("conv2d",), bind=record_of("conv").bind))
