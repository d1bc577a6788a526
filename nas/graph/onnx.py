"""ONNX from a graph: the model that is timed and the model that is shipped."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, helper
from torch import Tensor, nn

from nas.codecs.affine import PADDING
from nas.codecs.build import codec_of
from nas.codecs.confidence import SCORE_SCALE
from nas.codecs.exported import METADATA_KEY, METADATA_VERSION, POSES
from nas.codecs.normalise import MEAN, STD
from nas.graph.builder import ONNX_TYPES, OPSET, Builder
from nas.graph.constants import Constant, ConstantFolder, Leaf
from nas.graph.fold import drop_dead, fold_batch_norms
from nas.graph.graph import Graph
from nas.graph.registry import record_of
from nas.layers import Statistics, StatisticsMissingError
from nas.space.arch import Arch

IR_VERSION = 9
RAW_PREFIX = "raw."


def to_onnx(
    graph: Graph,
    net: nn.Module | None = None,
    arch: Arch | None = None,
    stats: Statistics | None = None,
    *,
    raw: bool = False,
    opset: int = OPSET,
) -> ModelProto:
    """The ONNX model of a graph, decode inside, batch norm folded.

    Args:
        graph: from a tracer of the network's own space.
        net: where weights come from; None for arbitrary ones (enough for timing).
        arch: written into the metadata; the graph's own unless given.
        stats: batch-norm statistics; needed unless they are embedded in the network.
        raw: also give the network's outputs before decode, named "raw.*".
        opset: version of the operators.

    Raises:
        StatisticsMissingError: neither given nor embedded.
        ValueError: statistics of another architecture, or an anonymous graph.
    """
    if graph.anonymous:
        raise ValueError("an anonymous graph does not know its weights")
    if stats is not None:
        stats.of(graph.arch.id)  # raises on a mismatch
    outputs = dict(graph.outputs)
    if raw:
        outputs.update({f"{RAW_PREFIX}{name}": value for name, value in graph.raw_outputs.items()})
    wanted = [value for value in outputs.values() if isinstance(value, int)]
    operators = fold_batch_norms(drop_dead(graph.operators, wanted), wanted)

    evaluate = None if net is None else ConstantFolder(network_values(net, stats))
    builder = Builder(evaluate, {0: "images"} | _settled(outputs), opset=opset)
    for operator in operators:
        builder.begin(operator)
        record_of(operator.kind).emit(operator, builder)
    _give_remaining(outputs, builder)
    padding = getattr(net, "padding", PADDING)
    return _model(graph, outputs, builder, arch or graph.arch, padding)


def network_values(net: nn.Module, stats: Statistics | None = None) -> Callable[[Leaf], Tensor]:
    """Looks up the tensors of a network by the names that a trace gives them."""
    tensors = {**dict(net.named_parameters()), **dict(net.named_buffers())}

    def value(leaf: Leaf) -> Tensor:
        return found(leaf).cpu()

    def found(leaf: Leaf) -> Tensor:
        if leaf.role in ("parameter", "buffer"):
            return tensors[leaf.name]
        if stats is not None:
            return stats.values[leaf.name][0 if leaf.role == "mean" else 1]
        embedded = tensors.get(f"{leaf.name}.running_{'mean' if leaf.role == 'mean' else 'var'}")
        if embedded is None:
            raise StatisticsMissingError(
                f"no batch-norm statistics for {leaf.name}: calibrate this architecture before exporting it"
            )
        return embedded

    return value


def _settled(outputs: Mapping[str, int | Constant]) -> dict[int, str]:
    """Names of the output edges: the first that asks for an edge gets it."""
    names: dict[int, str] = {}
    for name, value in outputs.items():
        if isinstance(value, int) and value != 0:
            names.setdefault(value, name)
    return names


def _give_remaining(outputs: Mapping[str, int | Constant], builder: Builder) -> None:
    """Outputs that are a constant, or an edge that has another name already."""
    for name, value in outputs.items():
        source = builder.constant(value) if isinstance(value, Constant) else builder.edge(value)
        if source != name:
            builder.rename(source, name)


def _model(
    graph: Graph, outputs: Mapping[str, int | Constant], builder: Builder, arch: Arch, padding: float
) -> ModelProto:
    def info(name: str, value: int | Constant) -> onnx.ValueInfoProto:
        type_ = value.type if isinstance(value, Constant) else graph.types[value]
        return helper.make_tensor_value_info(name, ONNX_TYPES[type_.dtype], list(type_.shape))

    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, list(graph.images.shape))
    results = [info(name, value) for name, value in outputs.items()]
    body = helper.make_graph(builder.nodes, f"pose-{arch.id}", [images], results, builder.initializers)
    opset = helper.make_opsetid("", builder.opset)
    model: ModelProto = helper.make_model(
        body,
        opset_imports=[opset],
        ir_version=IR_VERSION if builder.opset == OPSET else helper.find_min_ir_version_for([opset]),
        producer_name="pose-nas",
    )
    helper.set_model_props(model, {METADATA_KEY: json.dumps(metadata(graph, arch, padding=padding))})
    return model


def describe(model: ModelProto, **fields: Any) -> None:
    """Change what a model's metadata say, in place; of the mapping `input` single entries."""
    (entry,) = (entry for entry in model.metadata_props if entry.key == METADATA_KEY)
    known = json.loads(entry.value)
    fields["input"] = known["input"] | fields.get("input", {})
    entry.value = json.dumps(known | fields)


def metadata(graph: Graph, arch: Arch, *, padding: float = PADDING) -> dict[str, Any]:
    """What a runtime needs to know besides the model itself."""
    codec = codec_of(arch, graph.skeleton)
    return {
        "version": METADATA_VERSION,
        "arch": arch.to_json(),
        "skeleton": graph.skeleton.to_json(),
        "mean": [float(value) for value in MEAN],
        "std": [float(value) for value in STD],
        "score_scale": SCORE_SCALE,
        "scored": codec.scored,
        "task": codec.task,
        "padding": padding,
        "poses": graph.outputs.keys() >= POSES,
        "input": {"type": "float32", "layout": "NCHW", "colour": "RGB", "batch": graph.images.shape[0]},
    }
