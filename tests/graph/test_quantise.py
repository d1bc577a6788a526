"""int8: what is quantised, and that the integer model computes nearly what the network computes."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from nas.codecs.exported import METADATA_KEY
from nas.errors import UserError
from nas.graph import Tracer, to_int8, to_onnx
from nas.graph.batch import batches
from nas.graph.qdq import insert_pairs
from nas.graph.quantise import Quantiser, find_ranges
from nas.graph.sensitivity import layer_errors
from nas.space import ArchManager, SearchSpace

DEMO = SearchSpace.load("demo")


CSPNEXT = str(Path(__file__).parents[1] / "spaces" / "cspnext.yaml")


def smallest(space: str, head: str):
    return ArchManager(SearchSpace.load(space)).smallest(head=head)


CASES = [(CSPNEXT, "simcc"), ("demo", "simcc"), ("demo", "heatmap"), ("litepose", "associative_embedding")]


def images_of(arch, count: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(3, *arch.resolution)).astype(np.float32) for _ in range(count)]


def optimised(model, tmp_path) -> onnx.ModelProto:
    """What onnxruntime makes of a model."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(tmp_path / "optimised.onnx")


@pytest.mark.parametrize(("space", "head"), CASES)
def test_int8_gives_nearly_what_fp32_gives(space, head, calibrated_net, run_onnx) -> None:
    arch = smallest(space, head)
    net = calibrated_net(arch)
    graph = Tracer.of(net)(arch)
    images = images_of(arch)
    model = to_int8(graph, net, images=images)
    onnx.checker.check_model(model)
    exact = to_onnx(graph, net, raw=True)
    # The raw outputs of the int8 model, to compare before decode picks peaks.
    names = [value.name for value in exact.graph.output if value.name.startswith("raw.")]
    found = onnx.ModelProto()
    found.CopyFrom(model)
    by_edge = {f"edge_{edge}" for edge in graph.raw_outputs.values()}
    produced = [name for node in found.graph.node for name in node.output if name in by_edge]
    assert len(produced) == len(names) > 0
    found.graph.output.extend(onnx.ValueInfoProto(name=name) for name in produced)
    image = torch.from_numpy(images[0]).unsqueeze(0)
    expected, integer = run_onnx(exact, image), run_onnx(found, image)
    raw = {f"edge_{edge}": expected[f"raw.{name}"] for name, edge in graph.raw_outputs.items()}
    for name in produced:
        spread = raw[name].std()
        assert 0 < np.abs(integer[name] - raw[name]).mean() < 0.1 * spread


@pytest.mark.parametrize(("space", "head"), CASES)
def test_the_body_runs_on_integers_and_decode_does_not(space, head, calibrated_net, tmp_path) -> None:
    arch = smallest(space, head)
    net = calibrated_net(arch)
    graph = Tracer.of(net)(arch)
    model = to_int8(graph, net, images=images_of(arch, 1))
    kinds = [node.op_type for node in optimised(model, tmp_path).graph.node]
    exact = [node.op_type for node in to_onnx(graph, net).graph.node]
    convolutions = sum(kind in ("Conv", "FusedConv") for kind in kinds)
    assert kinds.count("QLinearConv") + convolutions == exact.count("Conv")
    assert convolutions <= 3 * len(graph.raw_outputs)
    assert kinds.count("QGemm") == exact.count("Gemm")
    assert kinds.count("ConvTranspose") == exact.count("ConvTranspose")
    # Activations went into the convolutions: their bounds are those of the integers.
    assert not {"Relu", "QLinearRelu"} & set(kinds)
    assert "ArgMax" in kinds or "TopK" in kinds


def test_timing_needs_no_images_and_has_the_operators_of_the_calibrated_model(
    calibrated_net, tmp_path
) -> None:
    arch = ArchManager(DEMO).largest(head="simcc")
    net = calibrated_net(arch)
    graph = Tracer.of(net)(arch)

    def kinds(model):
        return sorted(node.op_type for node in optimised(model, tmp_path).graph.node)

    assert kinds(to_int8(graph)) == kinds(to_int8(graph, net, images=images_of(arch)))


def test_names_tell_what_nodes_belong_to_and_metadata_the_precision() -> None:
    model = to_int8(Tracer(DEMO, "coco17")(ArchManager(DEMO).smallest(head="simcc")))
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert all(name.startswith("edge_") for name in names)
    (entry,) = (entry for entry in model.metadata_props if entry.key == METADATA_KEY)
    assert json.loads(entry.value)["precision"] == "int8"


def test_weights_are_bytes() -> None:
    graph = Tracer(DEMO, "coco17")(ArchManager(DEMO).largest(head="simcc"))
    sizes = [len(model.SerializeToString()) for model in (to_int8(graph), to_onnx(graph))]
    assert sizes[0] < 0.5 * sizes[1]


def test_a_product_decode_reads_keeps_its_float_result(calibrated_net) -> None:
    arch = ArchManager(DEMO).smallest(head="heatmap")
    net = calibrated_net(arch)
    graph = Tracer.of(net)(arch)
    model = to_int8(graph, net, images=images_of(arch, 1))
    makers = {name: node for node in model.graph.node for name in node.output}
    (edge,) = graph.raw_outputs.values()
    waiting, read = [f"edge_{edge}"], []
    while waiting:
        node = makers[waiting.pop()]
        read.append(node.op_type)
        if node.op_type != "Conv":
            waiting.extend(name for name in node.input if name in makers)
    assert "Conv" in read
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(read)


def test_layers_may_stay_in_fp32(calibrated_net, tmp_path) -> None:
    arch = ArchManager(DEMO).smallest(head="simcc")
    net = calibrated_net(arch)
    graph = Tracer.of(net)(arch)
    quantiser = Quantiser(to_onnx(graph, net), graph, images=images_of(arch, 2))
    assert quantiser() == to_int8(graph, net, images=images_of(arch, 2))
    first, *others = quantiser.layers
    kinds = [node.op_type for node in optimised(quantiser([first]), tmp_path).graph.node]
    every = [node.op_type for node in optimised(quantiser(), tmp_path).graph.node]
    assert kinds.count("QLinearConv") == every.count("QLinearConv") - 1
    (entry,) = (entry for entry in quantiser([first]).metadata_props if entry.key == METADATA_KEY)
    assert json.loads(entry.value)["fp32_layers"] == [quantiser.layers[first]]
    assert "stem" in quantiser.layers[first]
    exact = quantiser(quantiser.layers)
    assert {node.op_type for node in exact.graph.node} == {n.op_type for n in to_onnx(graph, net).graph.node}
    assert others


def test_layers_that_suffer_are_found(calibrated_net) -> None:
    """One channel that dwarfs the others of its tensor leaves these few levels of eight bits."""
    arch = ArchManager(DEMO).smallest(head="simcc")
    net = calibrated_net(arch)
    graph = Tracer.of(net)(arch)
    images = images_of(arch, 2)
    seen = []

    def errors() -> dict[int, float]:
        model = to_onnx(graph, net, raw=True)
        return layer_errors(model, graph, images, progress=lambda *done: seen.append(done))

    healthy = errors()
    before, after = (net.get_submodule(f"stages.{stage}.types.mbconv.0") for stage in (1, 2))
    with torch.no_grad():
        before.project_norm.weight[0] *= 300
        before.project_norm.bias[0] *= 300
        after.expand.weight[:, 0] /= 300
    ill = errors()
    layers = Quantiser(to_onnx(graph, net), graph, images=images).layers
    assert ill.keys() == healthy.keys() == layers.keys()
    assert all(error > 0 for error in ill.values())
    assert {layers[edge] for edge in layers if ill[edge] > 3 * healthy[edge]} == {
        "stages.1.types.mbconv.0.project",
        "stages.2.types.mbconv.0.expand",
    }
    assert seen[-1] == (len(ill), len(ill))


def test_batches_fill_up() -> None:
    images = [np.full((3, 1, 1), number, np.float32) for number in range(5)]
    assert [batch[:, 0, 0, 0].tolist() for batch in batches(images, 2)] == [[0, 1], [2, 3], [4, 4]]
    assert [len(batch) for batch in batches(images, 0)] == [1] * 5


def test_ranges_are_those_of_all_images() -> None:
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Relu", ["y"], ["z"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 1, 1])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 3, 1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    images = [np.array(values, np.float32).reshape(3, 1, 1) for values in ([1, 2, 3], [-5, 0, 1])]
    assert find_ranges(model, ["x", "y", "z"], images) == {"x": (-5, 3), "y": (-3, 5), "z": (0, 5)}
    with pytest.raises(UserError, match="none was given"):
        find_ranges(model, ["x"], [])


def written(weight: np.ndarray, bias: np.ndarray, ranges) -> dict[str, np.ndarray]:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], name="edge_1.Conv.0", kernel_shape=[1, 1])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, weight.shape[1], 1, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, weight.shape[0], 1, 1])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    insert_pairs(model, products=[node.name], ranges=ranges)
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def test_weights_have_a_scale_per_channel_and_activations_an_exact_zero() -> None:
    weight = np.array([[1.27, -0.5], [0.0127, 0.004]], np.float32).reshape(2, 2, 1, 1)
    values = written(weight, np.array([1.0, -2.0], np.float32), {"x": (1.0, 5.1)})
    assert values["edge_1.Conv.0.weight_integers"].ravel().tolist() == [127, -50, 127, 40]
    np.testing.assert_allclose(values["edge_1.Conv.0.weight_scale"], [0.01, 0.0001], rtol=1e-6)
    # A range above zero is widened to zero; 255 stands for no more than the upper end.
    assert values["x_zero_point"] == 0
    assert 5.09 < values["x_scale"] * 255 <= np.float32(5.1)
    assert values["edge_1.Conv.0.bias_integers"].tolist() == [5000, -1000000]
    assert "w" not in values


def test_a_bias_that_dwarfs_its_weights_still_fits() -> None:
    weight = np.zeros((2, 1, 1, 1), np.float32)
    weight[0] = 1e-9
    values = written(weight, np.array([3.0, -7.0], np.float32), {"x": (-1.0, 1.0)})
    bias = values["edge_1.Conv.0.bias_integers"] * values["edge_1.Conv.0.bias_scale"]
    np.testing.assert_allclose(bias, [3, -7], rtol=1e-5)
