"""Parallel convolutions that are summed, as the one convolution that they are.

Re-parameterised blocks (RepVGG, Ding et al. 2021) are trained with several branches and run without them. A
convolution is linear in its weight: branches of one input and one stride add up to one convolution, whose
filters hold those of smaller windows in their middle. A batch norm scales and shifts, so it goes along; an
input that is added as it is, or after a batch norm only, is a convolution of one cell and one channel.

This is done in float64 when a fragment is recorded. Thus all that is known of a graph is known of the merged
network; the branches remain in `Fragment.trained`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.graph.constants import Constant
from nas.graph.fold import drop_dead, norm_scale
from nas.graph.fragments import Call, Fragment, share
from nas.graph.operator import Operator, Source
from nas.graph.symbols import TensorType

Terms = tuple[Any, ...]
"""(weight or None, bias or None, corner of the window (y, x), batch norms): what `_weight_and_bias` reads."""


_LINEAR = frozenset({"conv", "batch_norm", "add"})


def merged(fragment: Fragment) -> Fragment:
    """A fragment with one convolution in place of parallel ones that are summed; itself if it has none."""
    if not _may_be_merged(fragment):
        return fragment
    steps, ids = fragment.flatten()
    operators = [replace(step.operator, inputs=step.inputs, outputs=step.outputs) for step in steps]
    outputs = [ids[own] for own in fragment.outputs]
    found = _Merger(operators, outputs, first_new=fragment.inputs + fragment.makes).result()
    if found is None:
        return fragment
    numbers = {edge: edge for edge in range(fragment.inputs)}
    numbered = tuple(_renumbered(operator, numbers) for operator in drop_dead(found, outputs))
    return Fragment(
        inputs=fragment.inputs,
        steps=numbered,
        size=len(numbers),
        outputs=tuple(numbers[edge] for edge in outputs),
        types=fragment.types,
        form=fragment.form,
        macs=sum(operator.macs for operator in numbered),
        branched=fragment,
    )


def _may_be_merged(fragment: Fragment) -> bool:
    """Whether both sides of a sum come from one edge through convolutions and batch norms: hardly ever."""
    sums = [step for step in fragment.steps if isinstance(step, Operator) and _is_sum(step)]
    if not sums:
        return False
    linear: dict[int, Sequence[int]] = {}  # edge -> those that it is made of
    for step in fragment.steps:
        if isinstance(step, Call):
            if _is_linear(step.fragment):
                made = range(step.first, step.first + len(step.fragment.outputs))
                linear.update(dict.fromkeys(made, step.arguments))
        elif step.kind in _LINEAR:
            linear.update(dict.fromkeys(step.outputs, step.edges))
    return any(set.intersection(*(_origins(edge, linear) for edge in total.edges)) for total in sums)


def _origins(edge: int, linear: Mapping[int, Sequence[int]]) -> set[int]:
    """An edge and those that it is made of."""
    return {edge}.union(*(_origins(source, linear) for source in linear.get(edge, ())))


def _is_linear(fragment: Fragment) -> bool:
    def every() -> bool:
        return all(
            _is_linear(step.fragment) if isinstance(step, Call) else step.kind in _LINEAR
            for step in fragment.steps
        )

    return fragment.remember(_is_linear, every)


def _renumbered(operator: Operator, numbers: dict[int, int]) -> Operator:
    """The operator with the ids that edges have by now, and the next ones for what it gives."""
    inputs = tuple(numbers[source] if isinstance(source, int) else source for source in operator.inputs)
    for edge in operator.outputs:
        numbers[edge] = len(numbers)
    return replace(operator, inputs=inputs, outputs=tuple(numbers[edge] for edge in operator.outputs))


def _is_sum(operator: Operator) -> bool:
    """Whether it adds two edges of the same shape."""
    left, right = operator.inputs if operator.kind == "add" else (None, None)
    return isinstance(left, int) and isinstance(right, int) and len(set(operator.input_types)) == 1


@dataclass(frozen=True, eq=False)
class _Branch:
    """One term of a sum: batch norms of a convolution of the source, or of the source itself."""

    source: int
    conv: Operator | None
    norms: tuple[Operator, ...]

    def fits(self, host: "_Branch") -> bool:
        """Whether it is a part of a convolution like that of the host, whose window may be the larger."""
        own, other = self.conv, host.conv
        if other is None or self.source != host.source:
            return False
        if own is None:
            alike, spreads = other.attributes["strides"] == (1, 1), (1, 1)
        else:
            alike = all(own.attributes[name] == other.attributes[name] for name in ("strides", "group"))
            spreads = own.attributes["dilations"]
        pitches = other.attributes["dilations"]
        windows = zip(self._window(), host._window(), spreads, pitches, self._cells_before(host), strict=True)
        return alike and all(
            (size == 1 or spread == pitch) and start % pitch == 0 and 0 <= start // pitch <= whole - size
            for size, whole, spread, pitch, start in windows
        )

    def terms(self, host: "_Branch") -> Terms:
        """Its constants, and where in the host's window its own one lies."""
        assert host.conv is not None
        pitches = host.conv.attributes["dilations"]
        corner = tuple(cells // pitch for cells, pitch in zip(self._cells_before(host), pitches, strict=True))
        weight, bias = (None, None) if self.conv is None else self.conv.inputs[1:]
        norms = tuple((*norm.inputs[1:], norm.attributes["epsilon"]) for norm in self.norms)
        return weight, bias, corner, norms

    @property
    def area(self) -> int:
        """Cells of its window."""
        height, width = self._window()
        return height * width

    def _window(self) -> tuple[int, int]:
        if self.conv is None:
            return 1, 1
        _, _, height, width = self.conv.input_type(1).shape
        return height, width

    def _cells_before(self, host: "_Branch") -> tuple[int, int]:
        """How far its window begins after that of the host, down and to the right (px of the source)."""
        top, left = (0, 0) if self.conv is None else self.conv.attributes["pads"][:2]
        assert host.conv is not None
        host_top, host_left = host.conv.attributes["pads"][:2]
        return host_top - top, host_left - left


class _Merger:
    def __init__(self, operators: Sequence[Operator], outputs: Sequence[int], *, first_new: int) -> None:
        self._operators = operators
        self._makers = {edge: operator for operator in operators for edge in operator.outputs}
        self._uses = Counter(edge for operator in operators for edge in operator.edges)
        self._uses.update(outputs)
        self._new = first_new

    def result(self) -> list[Operator] | None:
        """The operators with merged convolutions in place of sums; None where nothing can be merged."""
        inner = {
            edge
            for operator in self._operators
            if _is_sum(operator)
            for edge in operator.edges
            if self._is_own(edge, _is_sum)
        }
        kept: list[Operator] = []
        found = False
        for operator in self._operators:
            replaced = None
            if _is_sum(operator) and inner.isdisjoint(operator.outputs):
                replaced = self._rewritten(operator)
                found = found or replaced is not None
            kept.extend([operator] if replaced is None else replaced)
        return kept if found else None

    def _is_own(self, source: Source, test: Callable[[Operator], bool]) -> bool:
        """Whether an edge is made by an operator that fulfils a test, and read once."""
        return (
            isinstance(source, int)
            and self._uses[source] == 1
            and source in self._makers
            and test(self._makers[source])
        )

    def _terms(self, total: Operator) -> Iterator[int]:
        """The edges that a tree of sums adds up."""
        for edge in total.edges:
            if self._is_own(edge, _is_sum):
                yield from self._terms(self._makers[edge])
            else:
                yield edge

    def _branch(self, edge: int) -> _Branch:
        norms: list[Operator] = []
        while self._is_own(edge, lambda operator: operator.kind == "batch_norm"):
            norms.append(self._makers[edge])
            (edge,) = norms[-1].edges
        if self._is_own(edge, _has_known_weights):
            conv = self._makers[edge]
            return _Branch(conv.edges[0], conv, tuple(reversed(norms)))
        return _Branch(edge, None, tuple(reversed(norms)))

    def _rewritten(self, total: Operator) -> list[Operator] | None:
        """What adds up to the same with fewer convolutions; None where there is no such thing."""
        edges = list(self._terms(total))
        left = [(edge, self._branch(edge)) for edge in edges]
        left.sort(key=lambda term: -term[1].area)
        made: list[Operator] = []
        sums: list[int] = []
        while left:
            edge, host = left.pop(0)
            others = [term for term in left if term[1].fits(host)]
            if others:
                left = [term for term in left if term not in others]
                edge, self._new = self._new, self._new + 1
                made.append(_convolution([host, *(branch for _, branch in others)], total, edge))
            sums.append(edge)
        if not made:
            return None
        while len(sums) > 1:
            pair, self._new = (sums.pop(0), sums.pop(0)), self._new + 1
            made.append(replace(total, inputs=pair, outputs=(self._new - 1,)))
            sums.insert(0, self._new - 1)
        made[-1] = replace(made[-1], outputs=total.outputs)
        return made


def _has_known_weights(operator: Operator) -> bool:
    known = (source is None or isinstance(source, Constant) for source in operator.inputs[1:])
    return operator.kind == "conv" and all(known)


def _convolution(branches: Sequence[_Branch], total: Operator, edge: int) -> Operator:
    """One convolution in place of several, the first of which has the largest window."""
    host = branches[0]
    conv = host.conv
    assert conv is not None
    weight = conv.inputs[1]
    assert isinstance(weight, Constant)
    bias = TensorType(torch.Size(weight.shape[:1]), weight.dtype)
    terms = tuple(branch.terms(host) for branch in branches)
    inputs = (
        host.source,
        weight.pool.derive(_summed_weight, weight.shape, terms, like=weight.type),
        weight.pool.derive(_summed_bias, weight.shape, terms, like=bias),
    )
    return replace(
        conv,
        scope=total.scope,
        inputs=inputs,
        outputs=(edge,),
        input_types=share((conv.input_types[0], weight.type, bias)),
    )


def _summed_weight(shape: torch.Size, terms: Sequence[Terms]) -> Tensor:
    """[O, I, h, w] of a convolution that does what all branches do, the largest of which is the first."""
    return torch.stack([_weight_and_bias(shape, term)[0] for term in terms]).sum(dim=0).to(terms[0][0].dtype)


def _summed_bias(shape: torch.Size, terms: Sequence[Terms]) -> Tensor:
    return torch.stack([_weight_and_bias(shape, term)[1] for term in terms]).sum(dim=0).to(terms[0][0].dtype)


def _weight_and_bias(shape: torch.Size, term: Terms) -> tuple[Tensor, Tensor]:
    """What a branch adds to a weight [O, I, h, w] and its bias [O], in float64."""
    weight, bias, (top, left), norms = term
    filters, channels, height, width = shape
    if weight is None:
        weight = torch.eye(channels).repeat(filters // channels, 1)[:, :, None, None]
    right, bottom = width - left - weight.shape[3], height - top - weight.shape[2]
    whole = F.pad(weight.double(), (left, right, top, bottom))
    shift = torch.zeros(filters, dtype=torch.float64) if bias is None else bias.double()
    for scale, offset, mean, variance, epsilon in norms:
        factor = norm_scale(scale, variance, epsilon)
        whole = whole * factor.view(-1, 1, 1, 1)
        shift = (shift - mean.double()) * factor + offset.double()
    return whole, shift
