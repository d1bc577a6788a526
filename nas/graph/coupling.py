"""Which channels of which tensors of a network are one and the same."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from nas.graph.constants import KnownTensor, Leaf, leaves_of
from nas.graph.graph import Graph
from nas.graph.operator import Operator
from nas.graph.registry import OperatorAxis, record_of

TensorAxis = tuple[object, int]
"""A dimension of a tensor of the network, (its Leaf, axis), or of an edge or a computed constant."""

T = TypeVar("T", bound=Hashable)
_Part = tuple[TensorAxis, int, int]
"""Of equal axes, named by one of them, so many entries from one on."""

_Inclusion = tuple[TensorAxis, TensorAxis, int]
"""An axis, the one that it is a part of, and from which entry of that on."""


class Member(NamedTuple):
    """Entries of a tensor of the network along one axis: all, or those of one part of a concatenation."""

    leaf: Leaf
    axis: int
    start: int
    length: int

    def of(self, tensor: Tensor) -> Tensor:
        """A view of the entries."""
        return tensor.narrow(self.axis, self.start, self.length)

    def __str__(self) -> str:
        inner = f"[{self.axis}, {self.start}:]" if self.axis or self.start else ""
        return f"{self.leaf.name}{inner}"


class _Classes(Generic[T]):
    """Things, some of which are equal."""

    def __init__(self) -> None:
        self._parents: dict[T, T] = {}

    def __iter__(self) -> Iterator[T]:
        return iter(self._parents)

    def add(self, thing: T) -> None:
        self._parents.setdefault(thing, thing)

    def join(self, left: T, right: T) -> None:
        self._parents[self.root(left)] = self.root(right)

    def root(self, thing: T) -> T:
        """The one that stands for all that are equal."""
        while self._parents[thing] != thing:
            self._parents[thing] = self._parents[self._parents[thing]]
            thing = self._parents[thing]
        return thing

    def members(self) -> dict[T, list[T]]:
        found = defaultdict(list)
        for thing in self:
            found[self.root(thing)].append(thing)
        return found


class Coupling:
    """Which dimensions of which tensors hold the same channels, from what operators say of them."""

    def __init__(self) -> None:
        self._axes = _Classes[TensorAxis]()
        self._contained: list[_Inclusion] = []
        self._fixed: set[TensorAxis] = set()
        self._sizes: dict[TensorAxis, int] = {}
        self._readers: set[TensorAxis] = set()
        self._writers: set[TensorAxis] = set()
        self._computed: set[Leaf] = set()
        """Tensors from which others are computed, in ways that may depend on the order of their channels."""

    def add(self, graph: Graph, number: int) -> None:
        """Couple what the operators of one graph couple."""
        outputs = (*graph.outputs.values(), *graph.raw_outputs.values())
        for edge in (0, *(value for value in outputs if isinstance(value, int))):
            for axis in range(len(graph.types[edge].shape)):
                self._fix((("edge", number, edge), axis))
        for operator in graph.operators:
            self._add_operator(operator, number)

    def groups(self) -> Iterator[list[Member]]:
        """What may be reordered, together."""
        axes = self._axes.members()
        fixed, contained = self._fixed_and_contained(axes)
        for equal in _equal_parts({root: self._sizes[root] for root in axes}, contained):
            members = [
                Member(leaf, axis, start, length)
                for root, start, length in equal
                for leaf, axis in axes[root]
                if isinstance(leaf, Leaf)
            ]
            movable = fixed.isdisjoint(root for root, *_ in equal)
            movable = movable and self._computed.isdisjoint(member.leaf for member in members)
            if members and movable and members[0].length > 1:
                yield members

    def importance(self, members: list[Member], tensors: dict[Leaf, Tensor]) -> Tensor | None:
        """Summed magnitudes [C] of the weights that read the channels, or else write them."""
        for chosen in (self._readers, self._writers):
            sums = []
            for member in members:
                if (member.leaf, member.axis) in chosen:
                    part = member.of(tensors[member.leaf])
                    others = [axis for axis in range(part.dim()) if axis != member.axis]
                    sums.append(part.abs().double().sum(others))
            if sums:
                return torch.stack(sums).sum(dim=0)
        return None

    def _fixed_and_contained(
        self, axes: Mapping[TensorAxis, Sequence[TensorAxis]]
    ) -> tuple[set[TensorAxis], set[_Inclusion]]:
        """The axes that stay as they are, and what contains what, each named by the one of its equals.

        Axes are fixed whose sizes contradict each other, and all that they are a part of or contain.
        """
        unequal = {root for root, equal in axes.items() if len({self._sizes[axis] for axis in equal}) > 1}
        fixed = {self._axes.root(axis) for axis in self._fixed} | unequal
        contained = set()
        for part, whole, at in self._contained:
            link = self._axes.root(part), self._axes.root(whole)
            if unequal.isdisjoint(link):
                contained.add((*link, at))
            else:
                fixed.update(link)
        return fixed, contained

    def _add_operator(self, operator: Operator, number: int) -> None:
        record = record_of(operator.kind)
        ties = list(record.couple(operator)) if record.couple else []
        parts = list(record.contain(operator)) if record.contain else []
        mentioned = {dimension for left, right, *_ in (*ties, *parts) for dimension in (left, right)}
        for dimension in _all_dimensions(operator):
            for axis in self._resolve(operator, number, dimension):
                self._note(axis, _size(operator, dimension))
                if dimension not in mentioned:
                    self._fix(axis)
        for left, right in ties:
            axes = [*self._resolve(operator, number, left), *self._resolve(operator, number, right)]
            for other in axes[1:]:
                self._axes.join(axes[0], other)
            self._note_use(operator, number, left, right)
        for part, whole, offset in parts:
            inner, outer = (self._resolve(operator, number, dimension) for dimension in (part, whole))
            if inner:
                self._contained.append((inner[0], outer[0], offset))
            else:  # known values, whose order matters
                self._fix(outer[0])

    def _note_use(self, operator: Operator, number: int, left: OperatorAxis, right: OperatorAxis) -> None:
        """Remember dense weights by the channels that they read and write."""
        if not operator.macs or operator.attributes.get("group", 1) != 1:
            return
        for here, there in ((left, right), (right, left)):
            if here[:2] == ("in", 1):
                kind = self._readers if there[:2] == ("in", 0) else self._writers
                kind.update(self._resolve(operator, number, here))

    def _resolve(self, operator: Operator, number: int, dimension: OperatorAxis) -> list[TensorAxis]:
        side, position, axis = dimension
        source = operator.outputs[position] if side == "out" else operator.inputs[position]
        if isinstance(source, int):
            return [(("edge", number, source), axis)]
        if source is None or isinstance(source.source, KnownTensor):
            return []
        if isinstance(source.source, Leaf):
            return [(source.source, axis)]
        self._computed.update(leaves_of(source))
        derived = (("constant", id(source)), axis)
        self._fix(derived)
        return [derived]

    def _note(self, axis: TensorAxis, size: int) -> None:
        self._axes.add(axis)
        self._sizes.setdefault(axis, size)

    def _fix(self, axis: TensorAxis) -> None:
        self._note(axis, self._sizes.get(axis, 1))
        self._fixed.add(axis)


def _equal_parts(sizes: Mapping[TensorAxis, int], contained: Collection[_Inclusion]) -> Iterable[list[_Part]]:
    """Axes in parts, those together that are the same entries."""
    pieces = {axis: list(pairwise(sorted(cuts))) for axis, cuts in _cuts(sizes, contained).items()}
    parts = _Classes[_Part]()
    for axis, ends in pieces.items():
        for start, end in ends:
            parts.add((axis, start, end - start))
    for part, whole, at in contained:
        for start, end in pieces[part]:
            parts.join((part, start, end - start), (whole, start + at, end - start))
    return parts.members().values()


def _cuts(sizes: Mapping[TensorAxis, int], contained: Collection[_Inclusion]) -> dict[TensorAxis, set[int]]:
    """Where axes are to be cut, ends included, for every part to be a whole number of pieces."""
    cuts = {axis: {0, size} for axis, size in sizes.items()}
    changed = True
    while changed:
        changed = False
        for part, whole, at in contained:
            outer = {cut + at for cut in cuts[part]}
            inner = {cut - at for cut in cuts[whole] if at <= cut <= at + sizes[part]}
            changed = changed or not (outer <= cuts[whole] and inner <= cuts[part])
            cuts[whole] |= outer
            cuts[part] |= inner
    return cuts


def _all_dimensions(operator: Operator) -> Iterator[OperatorAxis]:
    for position, type_ in enumerate(operator.input_types):
        for axis in range(0 if type_ is None else len(type_.shape)):
            yield "in", position, axis
    for position, output in enumerate(operator.output_types):
        for axis in range(len(output.shape)):
            yield "out", position, axis


def _size(operator: Operator, dimension: OperatorAxis) -> int:
    side, position, axis = dimension
    type_ = operator.output_types[position] if side == "out" else operator.input_type(position)
    return type_.shape[axis]
