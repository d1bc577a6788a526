"""Sorting channels by importance, so that the first ones, which narrow networks keep, matter most."""

from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor

from nas.graph.constants import Given, Leaf, leaves_of
from nas.graph.graph import Graph
from nas.graph.operator import Operator
from nas.graph.registry import Dimension, record_of
from nas.graph.tracer import Tracer
from nas.models import PoseNet
from nas.space.arch import Arch
from nas.space.space import SearchSpace

Axis = tuple[object, int]
"""A dimension of a tensor of the network, (its Leaf, axis), or of an edge or a computed constant."""


@torch.no_grad()
def sort_channels(net: PoseNet) -> dict[str, Tensor]:
    """Reorder hidden channels and the widths of stem, stages and neck, most important first, in place.

    Channels that are one and the same (joined by a residual, a depthwise convolution, a batch norm, several
    readers) are moved together. Importance is the sum of the magnitudes of the weights that read a channel
    (Once-for-All, Cai et al. 2020), or of those that write it where none reads it. Outputs of the largest
    network stay equal up to rounding, whatever its head, neck and up-sampler; narrower networks keep better
    channels. Channels of the input, of the outputs and of reshaped tensors stay where they are.

    Returns:
        For every group of channels that was sorted, under the name of one of its parameters, the former
        indices in their new order.
    """
    tensors = _tensors(net)
    coupling = _Coupling()
    tracer = Tracer.of(net)
    for number, arch in enumerate(_largest_of_every_kind(net.space)):
        coupling.add(tracer(arch), number)
    orders = {}
    for members in coupling.groups():
        importance = coupling.importance(members, tensors)
        if importance is None:
            continue
        order = torch.argsort(importance, descending=True, stable=True)
        for leaf, axis in members:
            tensor = tensors.get(leaf)
            if tensor is not None:
                tensor.copy_(tensor.index_select(axis, order))
        orders[min(leaf.name for leaf, _ in members)] = order
    return orders


def _tensors(net: PoseNet) -> dict[Leaf, Tensor]:
    tensors: dict[Leaf, Tensor] = {}
    for name, parameter in net.named_parameters():
        tensors[Leaf(name, "parameter")] = parameter
    for name, buffer in net.named_buffers():
        owner, _, kind = name.rpartition(".")
        role = {"running_mean": "mean", "running_var": "variance"}.get(kind)
        tensors[Leaf(owner, role) if role else Leaf(name, "buffer")] = buffer  # type: ignore[arg-type]
    return tensors


def _largest_of_every_kind(space: SearchSpace) -> Iterator[Arch]:
    """The largest arch, once with each choice that names a kind of module or switches one on."""
    last = {dimension.name: len(dimension.choices) - 1 for dimension in space.dimensions}
    seen: set[Arch] = set()

    def vary(indices: dict[str, int], settled: frozenset[str]) -> Iterator[Arch]:
        """An arch, and those with another choice of a dimension that is active, but not settled before."""
        arch = space.decode(indices)
        if arch not in seen:
            seen.add(arch)
            yield arch
        active = space.encode(arch).keys()
        for dimension in space.dimensions:
            if dimension.name in active - settled:
                for index, choice in enumerate(dimension.choices):
                    if isinstance(choice, str | bool) and index != indices[dimension.name]:
                        yield from vary(indices | {dimension.name: index}, settled | active)

    for head in space.heads:
        indices = last | space.encode(space.largest(head=head))
        yield from vary(indices, frozenset({"head.type"}))


class _Coupling:
    """Which dimensions of which tensors hold the same channels."""

    def __init__(self) -> None:
        self._parents: dict[Axis, Axis] = {}
        self._fixed: set[Axis] = set()
        self._sizes: dict[Axis, int] = {}
        self._readers: set[Axis] = set()
        self._writers: set[Axis] = set()
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

    def groups(self) -> Iterator[list[tuple[Leaf, int]]]:
        """The dimensions of the network's tensors that may be reordered together."""
        members = defaultdict(list)
        for axis in self._parents:
            members[self._root(axis)].append(axis)
        fixed = {self._root(axis) for axis in self._fixed}
        for root, axes in members.items():
            leaves = [(leaf, axis) for leaf, axis in axes if isinstance(leaf, Leaf)]
            sizes = {self._sizes[axis] for axis in axes}
            movable = root not in fixed and self._computed.isdisjoint(leaf for leaf, _ in leaves)
            if leaves and movable and len(sizes) == 1 and sizes != {1}:
                yield leaves

    def importance(self, members: list[tuple[Leaf, int]], tensors: dict[Leaf, Tensor]) -> Tensor | None:
        """Summed magnitudes [C] of the weights that read the channels, or else write them."""
        for chosen in (self._readers, self._writers):
            sums = [
                tensors[leaf].abs().double().sum([d for d in range(tensors[leaf].dim()) if d != axis])
                for leaf, axis in members
                if (leaf, axis) in chosen
            ]
            if sums:
                return torch.stack(sums).sum(dim=0)
        return None

    def _add_operator(self, operator: Operator, number: int) -> None:
        couple = record_of(operator.kind).couple
        ties = list(couple(operator)) if couple else []
        mentioned = {dimension for tie in ties for dimension in tie}
        for dimension in _all_dimensions(operator):
            for axis in self._resolve(operator, number, dimension):
                self._note(axis, _size(operator, dimension))
                if dimension not in mentioned:
                    self._fix(axis)
        for left, right in ties:
            axes = [*self._resolve(operator, number, left), *self._resolve(operator, number, right)]
            for other in axes[1:]:
                self._join(axes[0], other)
            self._note_use(operator, number, left, right)

    def _note_use(self, operator: Operator, number: int, left: Dimension, right: Dimension) -> None:
        """Remember dense weights by the channels that they read and write."""
        if not operator.macs or operator.attributes.get("group", 1) != 1:
            return
        for here, there in ((left, right), (right, left)):
            if here[:2] == ("in", 1):
                kind = self._readers if there[:2] == ("in", 0) else self._writers
                kind.update(self._resolve(operator, number, here))

    def _resolve(self, operator: Operator, number: int, dimension: Dimension) -> list[Axis]:
        side, position, axis = dimension
        source = operator.outputs[position] if side == "out" else operator.inputs[position]
        if isinstance(source, int):
            return [(("edge", number, source), axis)]
        if source is None or isinstance(source.source, Given):
            return []
        if isinstance(source.source, Leaf):
            return [(source.source, axis)]
        self._computed.update(leaves_of(source))
        derived = (("constant", id(source)), axis)
        self._fix(derived)
        return [derived]

    def _note(self, axis: Axis, size: int) -> None:
        self._parents.setdefault(axis, axis)
        self._sizes.setdefault(axis, size)

    def _fix(self, axis: Axis) -> None:
        self._note(axis, self._sizes.get(axis, 1))
        self._fixed.add(axis)

    def _join(self, left: Axis, right: Axis) -> None:
        self._parents[self._root(left)] = self._root(right)

    def _root(self, axis: Axis) -> Axis:
        while self._parents[axis] != axis:
            self._parents[axis] = self._parents[self._parents[axis]]
            axis = self._parents[axis]
        return axis


def _all_dimensions(operator: Operator) -> Iterator[Dimension]:
    for position, type_ in enumerate(operator.input_types):
        for axis in range(0 if type_ is None else len(type_.shape)):
            yield "in", position, axis
    for position, output in enumerate(operator.output_types):
        for axis in range(len(output.shape)):
            yield "out", position, axis


def _size(operator: Operator, dimension: Dimension) -> int:
    side, position, axis = dimension
    type_ = operator.output_types[position] if side == "out" else operator.input_types[position]
    assert type_ is not None
    return type_.shape[axis]
