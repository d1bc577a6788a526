"""What onnxruntime makes of a network: the kernels that run after its fusions, in its layouts.

A mirror in Python of those of onnxruntime's graph optimisations that change what CPU time is spent on, so
that a network's kernels are known without onnxruntime: batch norms are folded into convolutions, activations
and sums are fused into them, and convolutions work on channels in blocks, which pads channels and needs
reorders between blocked and plain tensors (rules: onnxruntime's ConvActivationFusion and NchwcTransformer).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nas.graph import Graph, Operator
    from nas.graph.operator import Source, Step

REORDER_IN, REORDER_OUT = "reorder.in", "reorder.out"

_CONVOLUTIONS = frozenset({"conv", "conv_transpose"})
# Fused into the convolution before them; the second group also after a sum was fused.
_ACTIVATIONS = ("relu", "sigmoid", "tanh", "relu6", "leaky_relu", "hardsigmoid")
_ACTIVATIONS_AFTER_SUM = frozenset({"relu", "sigmoid", "tanh"})
_BLOCKED_POOLS = frozenset({"max_pool", "avg_pool"})
_BYTES = 4


class Kernel(NamedTuple):
    """One kernel, as its time is predicted from it; equal ones take equal time.

    Channels are padded to the block where the kernel works on blocked tensors.

    Args:
        kind: the operator's label, such as "conv.depthwise7", or a reorder.
        macs: multiply-accumulates that are paid.
        read, written, weights: bytes of input edges, output edges and constants.
        inputs, outputs: channels.
        height, width: of the output, in cells; 0 where it is no map.
        size, stride: of the filter; 0 where there is none.
        activation: the fused activation's place among those known, from 1; 0 without one.
        summed: 1 where a sum is fused.
    """

    kind: str
    macs: int
    read: int
    written: int
    weights: int
    inputs: int = 0
    outputs: int = 0
    height: int = 0
    width: int = 0
    size: int = 0
    stride: int = 0
    activation: int = 0
    summed: int = 0


@dataclass(slots=True)
class Placed:
    """A kernel, the module that it belongs to, and the edges of the traced graph that it makes."""

    kernel: Kernel
    scope: str
    edges: list[int]


class KernelMirror:
    """Gives the kernels of traced networks.

    Args:
        channel_block: channels that convolutions compute at once; 1 for machines without blocked layouts.
    """

    def __init__(self, channel_block: int) -> None:
        self._block = channel_block
        self._known: dict[int, tuple[Operator, Kernel]] = {}

    def __call__(self, graph: "Graph") -> list[Placed]:
        """The kernels of a network in an order of execution; reorders come last."""
        return _Pass(self, graph).run()

    def pad(self, channels: int) -> int:
        """Channels after padding to whole blocks."""
        return -(-channels // self._block) * self._block

    def is_blocked(self, operator: "Operator") -> bool:
        """Whether a convolution or pooling works on blocked tensors."""
        if self._block == 1:
            return False
        if operator.kind in _BLOCKED_POOLS:
            return bool(operator.shape[1] % self._block == 0)
        if operator.kind != "conv":
            return False
        weight, group = operator.input_types[1], operator.attributes["group"]
        assert weight is not None
        outputs, per_group = weight.shape[:2]
        if group == 1 or (per_group == 1 and outputs == group):
            return True
        return bool(
            per_group % self._block == 0 and outputs % group == 0 and outputs // group % self._block == 0
        )

    def reads_plain(self, operator: "Operator") -> bool:
        """Whether a blocked convolution reads a plain tensor: one of fewer channels than a block."""
        if operator.kind != "conv" or operator.attributes["group"] != 1:
            return False
        weight = operator.input_types[1]
        return weight is not None and weight.shape[1] < self._block

    def plain_kernel(self, operator: "Operator") -> Kernel:
        """The kernel of an operator on its own."""
        key = id(operator)
        if key not in self._known:
            self._known[key] = (operator, self._describe(operator))
        return self._known[key][1]

    def blocked(self, kernel: Kernel) -> Kernel:
        """An entry-by-entry kernel on blocked tensors, whose channels are padded."""
        ratio = self.pad(kernel.outputs) / kernel.outputs if kernel.outputs else 1.0
        return kernel._replace(read=round(kernel.read * ratio), written=round(kernel.written * ratio))

    def _describe(self, operator: "Operator") -> Kernel:
        from nas.graph import features

        found = features(operator)
        kernel = Kernel(found.label, found.macs, found.bytes_in, found.bytes_out, found.bytes_weights)
        shape = operator.shape
        if len(shape) == 4:
            kernel = kernel._replace(outputs=shape[1], height=shape[2], width=shape[3])
        source = operator.input_types[0]
        if source is not None and len(source.shape) == 4:
            kernel = kernel._replace(inputs=source.shape[1])
        if operator.kind in _CONVOLUTIONS:
            return self._describe_convolution(operator, kernel)
        return kernel

    def _describe_convolution(self, operator: "Operator", kernel: Kernel) -> Kernel:
        source, weight = operator.input_types[:2]
        assert source is not None
        assert weight is not None
        kernel = kernel._replace(size=max(weight.shape[2:]), stride=max(operator.attributes["strides"]))
        if not self.is_blocked(operator):
            return kernel
        group = operator.attributes["group"]
        plain = self.reads_plain(operator)
        inputs = source.shape[1] if plain else self.pad(source.shape[1])
        outputs = self.pad(operator.shape[1])
        per_group = inputs if group == 1 else weight.shape[1]
        cells = kernel.height * kernel.width
        taps = weight.shape[2] * weight.shape[3]
        return kernel._replace(
            macs=cells * outputs * per_group * taps,
            read=inputs * source.shape[2] * source.shape[3] * _BYTES,
            written=outputs * cells * _BYTES,
            weights=outputs * (per_group * taps + 1) * _BYTES,
            inputs=inputs,
            outputs=outputs,
        )


class _Pass:
    """One network's way through the mirror."""

    def __init__(self, mirror: KernelMirror, graph: "Graph") -> None:
        self._mirror = mirror
        wanted = [edge for edge in graph.outputs.values() if isinstance(edge, int)]
        self._steps, self._uses = _needed(graph.steps, wanted)
        self._makers: dict[int, Step] = {edge: step for step in self._steps for edge in step.outputs}
        self._placed: list[Placed] = []
        # Edge -> the kernel that leaves it; edge -> logical channels, for edges in blocks.
        self._left: dict[int, Placed] = {}
        self._blocked: dict[int, int] = {}
        self._plain_reads: set[int] = set(wanted)
        self._reordered: set[int] = set()
        self._folded = self._foldable()

    def run(self) -> list[Placed]:
        for step in self._steps:
            self._take(step)
        return [*self._placed, *self._reorders()]

    def _take(self, step: "Step") -> None:
        operator, (output, *_) = step.operator, step.outputs
        kind = operator.kind
        if output in self._folded or self._fuses(step):
            self._extend(_edges(step)[0], output)
        elif self._mirror.is_blocked(operator):
            self._read_blocked(step)
            self._place(self._mirror.plain_kernel(operator), step, blocked=True)
        elif kind == "add" and (summed := self._fused_sum(step)) is not None:
            kernel = self._left[summed].kernel
            self._left[summed].kernel = kernel._replace(summed=1, read=kernel.read + kernel.written)
            self._extend(summed, output)
        elif self._stays_blocked(step):
            kernel = self._mirror.blocked(self._mirror.plain_kernel(operator))
            self._place(kernel, step, blocked=True)
        else:
            self._plain_reads.update(_edges(step))
            self._place(self._mirror.plain_kernel(operator), step, blocked=False)

    def _place(self, kernel: Kernel, step: "Step", *, blocked: bool) -> None:
        placed = Placed(kernel, step.operator.scope, list(step.outputs))
        self._placed.append(placed)
        for edge in step.outputs:
            self._left[edge] = placed
            if blocked:
                self._blocked[edge] = step.operator.shape[1]

    def _extend(self, edge: int, output: int) -> None:
        """Let the kernel that leaves an edge leave the output in its place."""
        placed = self._left[edge]
        placed.edges.append(output)
        self._left[output] = placed
        if edge in self._blocked:
            self._blocked[output] = self._blocked[edge]

    def _foldable(self) -> set[int]:
        """Outputs of the batch norms that are folded away."""
        from nas.graph.fold import convolutions_before

        def maker(edge: "Source") -> "Step | None":
            return self._makers.get(edge) if isinstance(edge, int) and self._uses[edge] == 1 else None

        folded = set()
        for step in self._steps:
            if step.operator.kind == "batch_norm" and convolutions_before(step.inputs[0], maker):
                folded.add(step.outputs[0])
        return folded

    def _fuses(self, step: "Step") -> bool:
        """Whether an activation disappears in the convolution before it; notes it there."""
        kind = step.operator.kind
        if kind not in _ACTIVATIONS:
            return False
        (edge,) = _edges(step)
        if self._uses[edge] != 1 or edge not in self._left:
            return False
        placed = self._left[edge]
        kernel = placed.kernel
        if not kernel.kind.startswith("conv.") or kernel.activation:
            return False
        if kernel.summed and kind not in _ACTIVATIONS_AFTER_SUM:
            return False
        placed.kernel = kernel._replace(activation=1 + _ACTIVATIONS.index(kind))
        return True

    def _fused_sum(self, step: "Step") -> int | None:
        """The input whose convolution takes the sum of two blocked tensors upon itself."""
        if not self._stays_blocked(step):
            return None
        for edge in _edges(step):
            kernel = self._left[edge].kernel
            alone = self._uses[edge] == 1 and not kernel.activation and not kernel.summed
            if alone and kernel.kind.startswith("conv."):
                return edge
        return None

    def _stays_blocked(self, step: "Step") -> bool:
        """Whether an operator that is no convolution works on blocked tensors as they are."""
        operator, edges = step.operator, _edges(step)
        if len(edges) != len(step.inputs) or not all(edge in self._blocked for edge in edges):
            return False
        match operator.kind:
            case "add" | "mul":
                return operator.input_types[0] == operator.input_types[1]
            case "relu" | "sigmoid" | "tanh" | "silu":
                return True
            case "cat":
                aligned = all(self._mirror.pad(self._blocked[edge]) == self._blocked[edge] for edge in edges)
                return aligned and operator.attributes.get("axis") == 1
            case "interpolate":
                whole = all(scale == int(scale) for scale in operator.attributes["scales"])
                return bool(operator.attributes["mode"] == "nearest" and whole)
        return False

    def _read_blocked(self, step: "Step") -> None:
        """Note what a blocked kernel does to the layout of its input."""
        edge = _edges(step)[0]
        if self._mirror.reads_plain(step.operator):
            self._plain_reads.add(edge)
        elif edge not in self._blocked:
            self._reordered.add(edge)

    def _reorders(self) -> Iterator[Placed]:
        for edge in sorted(self._reordered):
            yield self._reorder(REORDER_IN, edge)
        for edge in sorted(self._plain_reads & self._blocked.keys()):
            yield self._reorder(REORDER_OUT, edge)

    def _reorder(self, kind: str, edge: int) -> Placed:
        step = self._makers[edge]
        _, channels, height, width = step.operator.output_types[step.outputs.index(edge)].shape
        padded = self._mirror.pad(channels)
        read, written = (channels, padded) if kind == REORDER_IN else (padded, channels)
        cells = height * width
        kernel = Kernel(
            kind, 0, read * cells * _BYTES, written * cells * _BYTES, 0, read, written, height, width
        )
        return Placed(kernel, step.operator.scope, [edge])


def _edges(step: "Step") -> list[int]:
    """The edges that an operator reads; its other inputs are constants."""
    return [edge for edge in step.inputs if isinstance(edge, int)]


def _needed(steps: Sequence["Step"], wanted: Sequence[int]) -> tuple[list["Step"], Mapping[int, int]]:
    """The operators that the wanted edges depend on, and how often each edge is read."""
    uses: dict[int, int] = dict.fromkeys(wanted, 1)
    kept = []
    for step in reversed(steps):
        if any(edge in uses for edge in step.outputs):
            kept.append(step)
            for edge in _edges(step):
                uses[edge] = uses.get(edge, 0) + 1
    return kept[::-1], uses
