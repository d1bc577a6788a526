"""What a network costs besides time, predicted from its traced graph: size of its file and peak of memory."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nas.graph import Graph, Operator, metadata
from nas.graph.operator import Step
from nas.latency.arena import Arena, Chunk, Pattern
from nas.latency.kernels import ACTIVATIONS

_CHANNEL_BLOCK = 16
_FUSED = frozenset(ACTIVATIONS)
_VIEWS = frozenset({"reshape", "view", "flatten", "unsqueeze", "squeeze", "identity", "batch_norm"})
_PRODUCTS = frozenset({"conv", "conv_transpose", "linear", "matmul"})
_QUANTISED = frozenset({"conv", "linear"})
# These never write into the memory of what they read; others do, where nobody else needs it.
_NEVER_IN_PLACE = frozenset(
    {
        *("conv", "conv_transpose", "linear", "matmul"),
        *("interpolate", "cat", "max_pool", "avg_pool", "global_avg_pool"),
    }
)


# Of a file: an operator's node; a product's, with its initializers' names; what makes one int8, its result
# rounded; what rounds another tensor that products read; and of every output channel there scale (4) and zero
# point (1) of the weights, and the bias with both (12).
_NODE_BYTES = 70
_PRODUCT_BYTES = 210
_PAIRS_BYTES = 870
_PAIR_BYTES = 420
_BYTES_PER_CHANNEL = 17
_ROUNDED_WITH_PRODUCT = _PRODUCTS | _VIEWS | {"relu", "relu6"}


@dataclass(frozen=True)
class Footprint:
    """Predicted size and memory.

    Args:
        file_bytes: of the ONNX file.
        peak_memory_bytes: see `nas.timing.memory.MeasuredFootprint`; of onnxruntime 1.31 on x86-64 Linux
            with one thread.
    """

    file_bytes: int
    peak_memory_bytes: int


@dataclass(frozen=True)
class _Coefficients:
    """Of peak memory, in bytes: of onnxruntime itself, and per byte of what was counted.

    Fitted by `benchmarks/footprint.py --samples 20 --seed 5 --fit`.
    """

    constant: float
    weights: float
    arena: float
    pattern: float


_MEMORY = {
    "fp32": _Coefficients(constant=12.10e6, weights=1.444, arena=0.832, pattern=0.818),
    "int8": _Coefficients(constant=13.20e6, weights=1.011, arena=0.448, pattern=3.263),
}


@dataclass(frozen=True)
class MemoryTerms:
    """What peak memory is made of, in bytes.

    Args:
        weights: constants of the model, as they are stored.
        arena: what two runs write to in onnxruntime's arena.
        pattern: the plan of the second of them: activations that live at the same time.
    """

    weights: int
    arena: int
    pattern: int


def footprint(graph: Graph, *, precision: str = "fp32") -> Footprint:
    """The predicted footprint of a network, in milliseconds instead of by exporting and running it."""
    terms, factors = memory_terms(graph, precision=precision), _MEMORY[precision]
    peak = (
        factors.constant
        + factors.weights * terms.weights
        + factors.arena * terms.arena
        + factors.pattern * terms.pattern
    )
    return Footprint(file_bytes(graph, precision=precision), round(peak))


def file_bytes(graph: Graph, *, precision: str = "fp32") -> int:
    """About the size of the ONNX file: constants with batch norms folded, nodes, metadata."""
    wanted = [edge for edge in graph.outputs.values() if isinstance(edge, int)]
    sizes: dict[int, int] = {}
    steps = needed_steps(graph.steps, wanted)
    total = len(json.dumps(metadata(graph, graph.arch)))
    if precision != "fp32":
        rounded = {edge for step in steps if step.operator.kind in _QUANTISED for edge in _edges(step)}
        total += _PAIR_BYTES * sum(
            not rounded.isdisjoint(step.outputs)
            for step in steps
            if step.operator.kind not in _ROUNDED_WITH_PRODUCT
        )
    for step in steps:
        operator = step.operator
        if operator.kind == "batch_norm":
            continue
        if operator.kind not in _PRODUCTS:
            total += _NODE_BYTES
            sizes.update((id(constant), constant.stored_bytes) for constant in operator.constants)
            continue
        weight = operator.input_types[1]
        elements = weight.shape.numel() if weight is not None and operator.weights else 0
        channels = operator.shape[1 if len(operator.shape) == 4 else -1]
        total += _PRODUCT_BYTES
        if precision == "fp32" or operator.kind not in _QUANTISED:
            total += 4 * (elements + channels)
        else:
            total += _PAIRS_BYTES + elements + _BYTES_PER_CHANNEL * channels
    return total + sum(sizes.values())


def memory_terms(graph: Graph, *, precision: str = "fp32") -> MemoryTerms:
    """Weights, and the allocations of two runs played through."""
    return _Liveness(graph, precision).terms()


class _Liveness:
    """Which tensors share a buffer, and from when to when each buffer is needed.

    Views, fused activations and sums need none of their own. Of the others an entry-by-entry operator takes
    over the buffer of what it reads last, and any operator one of equal size that nobody needs any more
    (onnxruntime's allocation planner).
    """

    def __init__(self, graph: Graph, precision: str) -> None:
        self._precision = precision
        wanted = [edge for edge in graph.outputs.values() if isinstance(edge, int)]
        self._steps = needed_steps(graph.steps, wanted)
        self._uses = Counter(edge for step in self._steps for edge in _edges(step))
        self._uses.update(wanted)
        self._makers = {edge: step for step in self._steps for edge in step.outputs}
        self._same = self._aliases()
        self._integers = self._quantised()
        self._sizes = {0: graph.images.bytes} | self._sizes_of_edges()
        self._last: dict[int, int] = {}
        for place, step in enumerate(self._steps):
            self._last.update((self._root(edge), place) for edge in _edges(step))
        self._last.update((self._root(edge), len(self._steps)) for edge in wanted)
        self._summed = set(self._fused_sums())

    def terms(self) -> MemoryTerms:
        buffers, order = self._plan()
        first = {name: place for place, (name, _) in reversed(list(enumerate(order))) if name >= 0}
        final = {name: place for place, (name, _) in enumerate(order) if name >= 0}
        arena, pattern = Arena(), Pattern()
        chunks: dict[int, Chunk] = {}
        blocks: dict[int, tuple[int, int]] = {}
        for place, (name, size) in enumerate(order):
            if name < 0:
                arena.release(arena.allocate(size))
            elif first[name] == place:
                chunks[name], blocks[name] = arena.allocate(buffers[name]), pattern.allocate(buffers[name])
            if name >= 0 and final[name] == place and size == 0:
                arena.release(chunks.pop(name))
                pattern.release(blocks.pop(name))
        for chunk in chunks.values():
            arena.release(chunk)
        arena.allocate(pattern.peak)
        for name, size in order:
            if name < 0:
                arena.release(arena.allocate(size))
        weights = sum(self._weight_bytes(step.operator) for step in self._steps)
        return MemoryTerms(weights, arena.touched, pattern.peak)

    def _plan(self) -> tuple[list[int], list[tuple[int, int]]]:
        """Sizes of the buffers; and in order: (buffer, 1) taken, (buffer, 0) left, (-1, size) work memory."""
        sizes: list[int] = []
        order: list[tuple[int, int]] = []
        free: list[int] = []
        held: dict[int, int] = {}
        for place, step in enumerate(self._steps):
            operator = step.operator
            if step.outputs[0] not in self._same and step.outputs[0] not in self._summed:
                for edge in step.outputs:
                    buffer = self._taken_over(step, place, held)
                    if buffer is None:
                        buffer = next((b for b in free if sizes[b] == self._sizes[edge]), None)
                        if buffer is not None:
                            free.remove(buffer)
                    if buffer is None:
                        buffer = len(sizes)
                        sizes.append(self._sizes[edge])
                    held[edge] = buffer
                    order.append((buffer, 1))
                if work := self._work_bytes(operator):
                    order.append((-1, work))
            for edge in [edge for edge in held if self._last.get(edge, -1) <= place]:
                free.insert(0, held[edge])
                order.append((held.pop(edge), 0))
        return sizes, order

    def _taken_over(self, step: Step, place: int, held: dict[int, int]) -> int | None:
        """The buffer of an input that an operator writes its output to."""
        (edge, *_) = step.outputs
        if step.operator.kind in _NEVER_IN_PLACE or edge in self._integers:
            return None
        for source in map(self._root, _edges(step)):
            if source in held and self._last[source] == place and self._sizes[source] == self._sizes[edge]:
                return held.pop(source)
        return None

    def _aliases(self) -> dict[int, int]:
        """Edges that are another one, looked at or activated."""
        same = {}
        for step in self._steps:
            source, kind = step.inputs[0], step.operator.kind
            fused = kind in _FUSED and isinstance(source, int) and self._uses[source] == 1 and source != 0
            if isinstance(source, int) and (fused or kind in _VIEWS):
                same[step.outputs[0]] = source
        return same

    def _root(self, edge: int) -> int:
        while edge in self._same:
            edge = self._same[edge]
        return edge

    def _quantised(self) -> frozenset[int]:
        """Edges that are bytes: what integer products read and give."""
        if self._precision == "fp32":
            return frozenset()
        products = [step for step in self._steps if step.operator.kind in _QUANTISED]
        return frozenset(self._root(edge) for s in products for edge in (*_edges(s)[:1], *s.outputs))

    def _sizes_of_edges(self) -> dict[int, int]:
        sizes = {}
        for step in self._steps:
            operator = step.operator
            for edge, type_ in zip(step.outputs, operator.output_types, strict=True):
                size = type_.bytes
                blocked = self._precision == "fp32" and operator.kind in ("conv", "add")
                if blocked and len(type_.shape) == 4:
                    channels = type_.shape[1]
                    size = size // channels * (-(-channels // _CHANNEL_BLOCK) * _CHANNEL_BLOCK)
                sizes[edge] = size // 4 if edge in self._integers else size
        return sizes

    def _fused_sums(self) -> Iterator[int]:
        """Convolutions that add to the other side of a sum in its place."""
        if self._precision != "fp32":
            return
        for step in self._steps:
            edges = _edges(step)
            if step.operator.kind != "add" or len(edges) != 2:
                continue
            for edge in edges:
                maker = self._makers.get(self._root(edge))
                if maker is not None and maker.operator.kind == "conv" and self._uses[edge] == 1:
                    yield self._root(edge)
                    break

    def _work_bytes(self, operator: Operator) -> int:
        """Memory that a kernel needs while it runs: columns, sums in 32 bits, addresses."""
        weight, source = (operator.input_types[1] if len(operator.input_types) > 1 else None), None
        if operator.kind == "conv_transpose":
            source = operator.input_types[0]
            assert weight is not None
            assert source is not None
            return 4 * weight.shape[1:].numel() * source.shape[2:].numel()
        if operator.kind != "conv" or self._precision == "fp32":
            return 0
        assert weight is not None
        cells, kernel = operator.output_types[0].shape[2:].numel(), weight.shape[2:].numel()
        if operator.attributes["group"] > 1:
            return 8 * kernel * cells
        columns = weight.shape[1] * kernel * cells if kernel > 1 else 0
        return 4 * operator.shape[1] * cells + columns

    def _weight_bytes(self, operator: Operator) -> int:
        if operator.kind == "batch_norm":
            return 0
        elements = self._precision != "fp32" and operator.kind in _QUANTISED
        return sum(c.shape.numel() if elements else c.stored_bytes for c in operator.constants)


def needed_steps(steps: Sequence[Step], wanted: Sequence[int]) -> list[Step]:
    """The steps that the wanted edges depend on."""
    needed = set(wanted)
    kept = []
    for step in reversed(steps):
        if needed.intersection(step.outputs):
            needed.update(_edges(step))
            kept.append(step)
    return kept[::-1]


def _edges(step: Step) -> list[int]:
    return [source for source in step.inputs if isinstance(source, int)]
