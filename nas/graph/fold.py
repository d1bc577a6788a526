"""Rewriting operators before they are emitted: batch norm folded away, dead operators dropped."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nas.graph.constants import Constant
from nas.graph.operator import Operator, Source, Step
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

    A batch norm scales and shifts each channel, so it also passes through a sum of convolutions (each is
    scaled, one is shifted) and through an interpolation (whose weights sum to one). It stays where an edge on
    the way is used elsewhere.
    """
    return _BatchNormFolder(operators, wanted).result()


def convolutions_before(source: Source, maker: Callable[[Source], Step | None]) -> list[Step]:
    """The convolutions whose (summed, interpolated) result an edge is: a batch norm of it folds into them.

    Args:
        source: the edge.
        maker: what makes an edge, if that is an operator and nobody else reads the edge.

    Returns:
        None of them where anything else is on the way.
    """
    made = maker(source)
    if made is None:
        return []
    operator = made.operator
    if operator.kind in CONVOLUTIONS and isinstance(operator.inputs[1], Constant):
        return [made]
    if operator.kind == "interpolate":
        return convolutions_before(made.inputs[0], maker)
    if operator.kind == "add" and operator.input_types[0] == operator.input_types[1]:
        sides = [convolutions_before(side, maker) for side in made.inputs]
        return sides[0] + sides[1] if all(sides) else []
    return []


@dataclass(frozen=True)
class _Affine:
    """scale * x + shift of a batch norm, by channel."""

    weight: Constant
    bias: Constant
    mean: Constant
    variance: Constant
    epsilon: float


class _BatchNormFolder:
    def __init__(self, operators: Sequence[Operator], wanted: Iterable[int]) -> None:
        self._kept: list[Operator | None] = list(operators)
        self._makers = {edge: index for index, operator in enumerate(operators) for edge in operator.outputs}
        self._uses = Counter(edge for operator in operators for edge in operator.edges)
        self._uses.update(wanted)

    def result(self) -> list[Operator]:
        for index, operator in enumerate(self._kept):
            if operator is not None and operator.kind == "batch_norm":
                convolutions = convolutions_before(operator.inputs[0], self._maker)
                if convolutions:
                    self._fold(operator, [self._makers[step.outputs[0]] for step in convolutions])
                    self._kept[index] = None
        return [operator for operator in self._kept if operator is not None]

    def _maker(self, source: Source) -> Step | None:
        if not isinstance(source, int) or self._uses[source] != 1 or source not in self._makers:
            return None
        operator = self._kept[self._makers[source]]
        return None if operator is None else Step(operator, operator.inputs, operator.outputs)

    def _fold(self, norm: Operator, convolutions: Sequence[int]) -> None:
        """Scale the convolutions, and let what made the norm's input make its output."""
        weight, bias, mean, variance = (s for s in norm.inputs[1:] if isinstance(s, Constant))
        affine = _Affine(weight, bias, mean, variance, norm.attributes["epsilon"])
        for position, index in enumerate(convolutions):
            operator = self._kept[index]
            assert operator is not None
            self._kept[index] = _scaled(operator, affine, shifted=position == 0)
        made = self._maker(norm.inputs[0])
        assert made is not None
        index = self._makers[made.outputs[0]]
        self._kept[index] = replace(made.operator, outputs=norm.outputs)
        self._makers[norm.outputs[0]] = index


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


def norm_scale(weight: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    """What a batch norm multiplies each channel by, [C] in float64."""
    return weight.double() / torch.sqrt(variance.double() + epsilon)


def _scale_weight(conv: Tensor, weight: Tensor, variance: Tensor, epsilon: float, groups: int) -> Tensor:
    """Scales output channels; `groups` is 0 for a convolution, whose output channels come first."""
    scale = norm_scale(weight, variance, epsilon)
    if groups == 0:
        return (conv.double() * scale.view(-1, 1, 1, 1)).to(conv.dtype)
    split = conv.double().reshape(groups, -1, *conv.shape[1:])
    scaled = split * scale.view(groups, 1, -1, 1, 1)
    return scaled.reshape(conv.shape).to(conv.dtype)


def _scale_bias(
    conv: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    shifted: bool,
) -> Tensor:
    scale = norm_scale(weight, variance, epsilon)
    moved = bias.double() - mean.double() * scale if shifted else torch.zeros_like(scale)
    if conv is not None:
        moved = moved + conv.double() * scale
    return moved.to(weight.dtype)
