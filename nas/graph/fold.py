"""Rewriting operators before they are emitted: batch norm folded away, dead operators dropped."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nas.graph.constants import Constant
from nas.graph.operator import Operator, Source
from nas.graph.symbols import TensorType

CONVOLUTIONS = ("conv", "conv_transpose")


def drop_dead(operators: Sequence[Operator], wanted: Iterable[int]) -> list[Operator]:
    """The operators that the wanted edges depend on."""
    needed = set(wanted)
    kept = []
    for operator in reversed(operators):
        if needed.intersection(operator.outputs):
            needed.update(operator.edges)
            kept.append(operator)
    return kept[::-1]


def fold_batch_norms(operators: Sequence[Operator], wanted: Iterable[int]) -> list[Operator]:
    """Batch norms merged into the convolutions before them, in float64.

    A batch norm scales and shifts each channel, so it also passes through a sum of convolutions (each is scaled,
    one is shifted) and through an interpolation (whose weights sum to one). It stays where an edge on the way is
    used elsewhere.
    """
    return _Folder(operators, wanted).result()


@dataclass(frozen=True)
class _Affine:
    """scale * x + shift of a batch norm, by channel."""

    weight: Constant
    bias: Constant
    mean: Constant
    variance: Constant
    epsilon: float


class _Folder:
    def __init__(self, operators: Sequence[Operator], wanted: Iterable[int]) -> None:
        self._operators = {operator.outputs[0]: operator for operator in operators}
        self._order = [operator.outputs[0] for operator in operators]
        self._uses = Counter(edge for operator in operators for edge in operator.edges)
        self._uses.update(wanted)

    def result(self) -> list[Operator]:
        renamed: dict[int, int] = {}
        kept = []
        for key in self._order:
            operator = self._operators[key]
            if operator.kind == "batch_norm" and (convolutions := self._before(operator.inputs[0])):
                self._fold(operator, convolutions)
                renamed[operator.outputs[0]] = self._edge(operator.inputs[0])
                continue
            kept.append(key)
        return [self._renamed(self._operators[key], renamed) for key in kept]

    def _before(self, source: Source) -> list[int]:
        """The convolutions whose (summed, interpolated) result an edge is, if nothing else uses it; else none."""
        if not isinstance(source, int) or self._uses[source] != 1 or source not in self._operators:
            return []
        operator = self._operators[source]
        if operator.kind in CONVOLUTIONS and isinstance(operator.inputs[1], Constant):
            return [source]
        if operator.kind == "interpolate":
            return self._before(operator.inputs[0])
        if operator.kind == "add" and operator.input_types[0] == operator.input_types[1]:
            sides = [self._before(side) for side in operator.inputs]
            return sides[0] + sides[1] if all(sides) else []
        return []

    def _fold(self, norm: Operator, convolutions: Sequence[int]) -> None:
        weight, bias, mean, variance = norm.inputs[1:]
        assert isinstance(weight, Constant)
        assert isinstance(bias, Constant)
        assert isinstance(mean, Constant)
        assert isinstance(variance, Constant)
        affine = _Affine(weight, bias, mean, variance, norm.attributes["epsilon"])
        for position, key in enumerate(convolutions):
            self._operators[key] = _scaled(self._operators[key], affine, shifted=position == 0)

    def _renamed(self, operator: Operator, renamed: dict[int, int]) -> Operator:
        def final(source: Source) -> Source:
            while isinstance(source, int) and source in renamed:
                source = renamed[source]
            return source

        return replace(operator, inputs=tuple(final(source) for source in operator.inputs))

    def _edge(self, source: Source) -> int:
        assert isinstance(source, int)
        return source


def _scaled(conv: Operator, affine: _Affine, *, shifted: bool) -> Operator:
    x, weight, bias = conv.inputs
    assert isinstance(weight, Constant)
    groups = conv.attributes["group"] if conv.kind == "conv_transpose" else 0
    derive = weight.pool.derive
    scaled = derive(
        _scale_weight, weight, affine.weight, affine.variance, affine.epsilon, groups, like=weight.type
    )
    moved = None
    if shifted or bias is not None:
        moved = derive(
            _scale_bias,
            *(bias, affine.weight, affine.bias, affine.mean, affine.variance, affine.epsilon, shifted),
            like=TensorType(affine.bias.shape, weight.dtype),
        )
    types = (conv.input_types[0], weight.type, None if moved is None else moved.type)
    return replace(conv, inputs=(x, scaled, moved), input_types=types)


def _scale(weight: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    return weight.double() / torch.sqrt(variance.double() + epsilon)


def _scale_weight(conv: Tensor, weight: Tensor, variance: Tensor, epsilon: float, groups: int) -> Tensor:
    """Scales output channels; `groups` is 0 for a convolution, whose output channels come first."""
    scale = _scale(weight, variance, epsilon)
    if groups == 0:
        return (conv.double() * scale.view(-1, 1, 1, 1)).to(conv.dtype)
    split = conv.double().unflatten(0, (groups, -1))
    return (split * scale.view(groups, 1, -1, 1, 1)).flatten(0, 1).to(conv.dtype)


def _scale_bias(
    conv: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    shifted: bool,
) -> Tensor:
    scale = _scale(weight, variance, epsilon)
    moved = bias.double() - mean.double() * scale if shifted else torch.zeros_like(scale)
    if conv is not None:
        moved = moved + conv.double() * scale
    return moved.to(weight.dtype)
