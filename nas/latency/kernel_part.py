"""Kernels at their places in a traced network, and those of a fragment with what is open at its border."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nas.latency.kernels import ACTIVATIONS, ACTIVATIONS_AFTER_SUM, Kernel
from nas.latency.reads import Kinds, Reads


class PlacedKernel(NamedTuple):
    """A kernel, the module that it belongs to, and the edges of the traced graph that it makes.

    Edges go by the ids of `Graph.steps`; the last one is what the kernel leaves.
    """

    kernel: Kernel
    scope: str
    edges: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KernelPart:
    """The kernels of a fragment, and what is left open at its border.

    Edges go by the fragment's unique ids: inputs first, then what its operators give.

    Args:
        placed: the kernels.
        outputs: index of an output -> its edge.
        layouts: edge of an output -> its channels, if it comes in blocks.
        leaves: edge of an output -> index of the kernel that leaves it.
        plain: inputs and outputs that are read as plain tensors.
        blocked: those that are read in blocks but come plain.
    """

    placed: tuple[PlacedKernel, ...]
    outputs: Mapping[int, int]
    layouts: Mapping[int, int]
    leaves: Mapping[int, int]
    plain: frozenset[int]
    blocked: frozenset[int]

    def is_torn(self, reads: Reads) -> bool:
        """Whether what reads the outputs (index -> kinds) may be fused with these kernels."""
        return any(
            edge in self.leaves and may_fuse(self.placed[self.leaves[edge]].kernel, reads[index])
            for index, edge in self.outputs.items()
        )


def shifted(placed: Sequence[PlacedKernel], shift: int) -> list[PlacedKernel]:
    """Kernels whose edges have other ids."""
    return [
        PlacedKernel(kernel, scope, tuple([edge + shift for edge in edges]))
        for kernel, scope, edges in placed
    ]


def may_fuse(kernel: Kernel, readers: Kinds) -> bool:
    """Whether the only reader of a kernel's result may disappear in it, or bring it to a batch norm."""
    if len(readers) != 1:
        return False
    (reader,) = readers
    if reader in ("batch_norm", "interpolate"):
        return kernel.kind.startswith(("conv", "add", "interpolate")) and not kernel.activation
    if reader == "matmul":
        return kernel.kind == "transpose"
    if not kernel.kind.startswith("conv") or kernel.activation:
        return False
    if reader in ACTIVATIONS:
        return not kernel.summed or reader in ACTIVATIONS_AFTER_SUM
    return reader == "add" and not kernel.summed
