"""Sorting channels by importance, so that the first ones, which narrow networks keep, matter most."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from nas.graph.constants import Leaf
from nas.graph.coupling import Coupling
from nas.graph.tracer import Tracer
from nas.models import PoseNet
from nas.space.arch import Arch
from nas.space.dimension import Dimension
from nas.space.manager import ArchManager
from nas.space.space import SearchSpace


@torch.no_grad()
def sort_channels(net: PoseNet) -> dict[str, Tensor]:
    """Reorder hidden channels and the widths of stem, stages and neck, most important first, in place.

    Channels that are one and the same (joined by a residual, a depthwise convolution, a batch norm, several
    readers, parts of a concatenation) are moved together. Importance is the sum of the magnitudes of the
    weights that read a channel (Once-for-All, Cai et al. 2020), or of those that write it where none reads
    it. Outputs of the largest network stay equal up to rounding, whatever its head, neck, up-sampler, options
    and depths; narrower networks keep better channels. Channels of the input, of the outputs and of reshaped
    tensors stay where they are.

    Returns:
        For every group of channels that was sorted, under the name of one of its parameters, the former
        indices in their new order.
    """
    tensors = _tensors(net)
    coupling = Coupling()
    tracer = Tracer.of(net)
    for number, arch in enumerate(_largest_of_every_kind(net.space)):
        coupling.add(tracer(arch).trained, number)
    orders = {}
    for members in coupling.groups():
        importance = coupling.importance(members, tensors)
        if importance is None:
            continue
        order = torch.argsort(importance, descending=True, stable=True)
        for member in members:
            if member.leaf in tensors:
                part = member.of(tensors[member.leaf])
                part.copy_(part.index_select(member.axis, order))
        orders[min(str(member) for member in members)] = order
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
    """The largest arch of every head, once with each other choice of what a network is made of."""
    manager = ArchManager(space)
    last = {dimension.name: len(dimension.choices) - 1 for dimension in space.dimensions}
    seen: set[Arch] = set()

    def vary(indices: Mapping[str, int], settled: frozenset[str]) -> Iterator[Arch]:
        """An arch, and those with another choice of a dimension that is active, but not settled before."""
        arch = manager.decode(indices)
        if arch not in seen:
            seen.add(arch)
            yield arch
        active = manager.encode(arch).keys()
        for dimension in space.dimensions:
            name = dimension.name
            if name in active - settled and _is_kind(dimension):
                known = settled | active
                owner, _, what = name.rpartition(".")
                if what == "type":  # whose modules may be joined otherwise than those of the largest type
                    known = frozenset(other for other in known if not other.startswith(f"{owner}.")) | {name}
                for index in range(len(dimension.choices)):
                    if index != indices[name]:
                        yield from vary({**indices, name: index}, known)

    for head in space.heads:
        yield from vary({**last, **manager.encode(manager.largest(head=head))}, frozenset({"head.type"}))


def _is_kind(dimension: Dimension) -> bool:
    """Whether the choices are different modules, or the same ones joined differently."""
    return dimension.name.endswith(".depth") or any(isinstance(c, str | bool) for c in dimension.choices)
