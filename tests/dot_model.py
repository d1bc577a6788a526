"""A tiny ONNX "pose network": keypoint k is the brightest pixel of channel k."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nas.codecs.normalise import MEAN, STD
from nas.space.arch import Arch, Block, Head, Neck, Stage, Stem
from nas.space.skeleton import Skeleton

DOTS = Skeleton("dots", ("red", "green", "blue"), (("red", "blue"),), (0.1, 0.1, 0.1), (("red", "green"),))


def dot_arch(resolution: tuple[int, int]) -> Arch:
    stage = Stage("mbconv", "relu", 2, 8, (Block(3, 1),))
    return Arch(
        resolution, Stem(8, "relu"), (stage,), Neck(), Head("simcc", (("label", "gaussian"), ("split", 2)))
    )


def dot_metadata(resolution: tuple[int, int]) -> dict[str, Any]:
    return {
        "version": 1,
        "arch": dot_arch(resolution).to_json(),
        "skeleton": DOTS.to_json(),
        "mean": MEAN.tolist(),
        "std": STD.tolist(),
        "score_scale": 1,
    }


def write_dot_model(
    path: Path,
    resolution: tuple[int, int],
    *,
    metadata: dict[str, Any] | str | None = None,
    spoilt: bool = False,
    batch: int | str = 1,
) -> Path:
    """Write the network, with `metadata` ("" for none) instead of its own.

    `spoilt`, one x is NaN; a name for the `batch` leaves that axis open.
    """
    height, width = resolution
    constants = {
        "flat": np.array([-1, 3, height * width]),
        "width": np.array(width),
        "pose": np.array([-1, 1, 3, 3]),
        "last": np.array([2]),
        "keypoints_axis": np.array([1]),
        "row": np.array([-1, 1]),
    }
    factors = np.ones((1, 3, 3), np.float32)
    if spoilt:
        factors[0, 0, 0] = np.nan
    nodes = [
        helper.make_node("Reshape", ["images", "flat"], ["pixels"]),
        helper.make_node("ArgMax", ["pixels"], ["best"], axis=2, keepdims=1),
        helper.make_node("ReduceMax", ["pixels", "last"], ["brightness"], keepdims=1),
        helper.make_node("Mod", ["best", "width"], ["column"]),
        helper.make_node("Div", ["best", "width"], ["line"]),
        helper.make_node("Cast", ["column"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["line"], ["y"], to=TensorProto.FLOAT),
        helper.make_node("Sigmoid", ["brightness"], ["score"]),
        helper.make_node("Concat", ["x", "y", "score"], ["found"], axis=2),
        helper.make_node("Mul", ["found", "factors"], ["kept"]),
        helper.make_node("Reshape", ["kept", "pose"], ["keypoints"]),
        helper.make_node("ReduceMean", ["score", "keypoints_axis"], ["mean"], keepdims=1),
        helper.make_node("Reshape", ["mean", "row"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dots",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, height, width])],
        [
            helper.make_tensor_value_info("keypoints", TensorProto.FLOAT, [batch, 1, 3, 3]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 1]),
        ],
        [
            *(
                numpy_helper.from_array(np.asarray(value, np.int64), name)
                for name, value in constants.items()
            ),
            numpy_helper.from_array(factors, "factors"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    text = json.dumps(dot_metadata(resolution) if metadata is None else metadata)
    if isinstance(metadata, str):
        text = metadata
    if text:
        helper.set_model_props(model, {"nas": text})
    onnx.save(model, path)
    return path


def dotted_image(size: tuple[int, int], dots: np.ndarray) -> np.ndarray:
    """A grey image (h, w) with a soft dot of each colour at [3, 2] x, y."""
    ys, xs = np.mgrid[: size[0], : size[1]]
    bells = [np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 4.0**2)) for x, y in dots]
    return (40 + 200 * np.stack(bells, axis=-1)).astype(np.uint8)
