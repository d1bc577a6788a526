"""What a network costs besides time, predicted from its traced graph: size of its file and peak of memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from nas.graph import Graph, metadata
from nas.graph.operator import Step
from nas.latency.kernels import ACTIVATIONS
from nas.latency.reads import edges_of

_VIEWS = frozenset({"reshape", "view", "flatten", "unsqueeze", "squeeze", "identity", "batch_norm"})
_IN_PLACE = _VIEWS | frozenset(ACTIVATIONS)
_PRODUCTS = frozenset({"conv", "conv_transpose", "linear", "matmul"})
_QUANTISED = frozenset({"conv", "linear"})

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
        peak_memory_bytes: see `nas.timing.memory.MeasuredFootprint`; of onnxruntime 1.32 on x86-64 Linux
            with one thread.
    """

    file_bytes: int
    peak_memory_bytes: int


@dataclass(frozen=True)
class MemoryLine:
    """Peak memory, in bytes: of onnxruntime itself, and per byte of the file and of live activations.

    A replay of onnxruntime's arena and memory plan was no better: fitted to the same networks it erred by
    7.1 % (fp32) and 6.2 % (int8) on others, at most by 34 and 47 %, and these lines by 8.7 and 5.8, at most
    by 28 and 39. Fitted by `benchmarks/footprint.py` (20 samples, seed 5).
    """

    constant: float
    file: float
    live: float


_MEMORY = {
    "fp32": MemoryLine(constant=12.54e6, file=1.657, live=2.857),
    "int8": MemoryLine(constant=14.30e6, file=1.551, live=5.429),
}


def footprint(graph: Graph, *, precision: str = "fp32") -> Footprint:
    """The predicted footprint of a network, in milliseconds instead of by exporting and running it."""
    size, line = file_bytes(graph, precision=precision), _MEMORY[precision]
    peak = line.constant + line.file * size + line.live * live_bytes(graph, precision=precision)
    return Footprint(size, round(peak))


def live_bytes(graph: Graph, *, precision: str = "fp32") -> int:
    """Bytes of the activations that live at the same time, at most; images among them.

    Views and activations take none of their own. What integer products read and give are bytes.
    """
    wanted = [edge for edge in graph.outputs.values() if isinstance(edge, int)]
    steps = needed_steps(graph.steps, wanted)
    owner = {0: 0}
    sizes = {0: graph.images.bytes}
    for step in steps:
        source = step.inputs[0]
        shares = step.operator.kind in _IN_PLACE and isinstance(source, int)
        for edge, type_ in zip(step.outputs, step.operator.output_types, strict=True):
            owner[edge] = owner[source] if shares and isinstance(source, int) else edge
            sizes[edge] = type_.bytes
    if precision != "fp32":
        products = [step for step in steps if step.operator.kind in _QUANTISED]
        for edge in {owner[edge] for step in products for edge in (*edges_of(step)[:1], *step.outputs)}:
            sizes[edge] //= 4
    last = {owner[edge]: index for index, step in enumerate(steps) for edge in edges_of(step)}
    last.update((owner[edge], len(steps)) for edge in wanted)
    live, peak = {0}, 0
    for index, step in enumerate(steps):
        live.update(owner[edge] for edge in step.outputs)
        peak = max(peak, sum(sizes[edge] for edge in live))
        live = {edge for edge in live if last.get(edge, -1) > index}
    return peak


def file_bytes(graph: Graph, *, precision: str = "fp32") -> int:
    """About the size of the ONNX file: constants with batch norms folded, nodes, metadata."""
    wanted = [edge for edge in graph.outputs.values() if isinstance(edge, int)]
    sizes: dict[int, int] = {}
    steps = needed_steps(graph.steps, wanted)
    total = len(json.dumps(metadata(graph, graph.arch)))
    if precision != "fp32":
        rounded = {edge for step in steps if step.operator.kind in _QUANTISED for edge in edges_of(step)}
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


def needed_steps(steps: Sequence[Step], wanted: Sequence[int]) -> list[Step]:
    """The steps that the wanted edges depend on."""
    needed = set(wanted)
    kept = []
    for step in reversed(steps):
        if needed.intersection(step.outputs):
            needed.update(edges_of(step))
            kept.append(step)
    return kept[::-1]
