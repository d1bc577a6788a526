"""Tiny ONNX "detectors": the box of the bright pixels, in every layout that the contract knows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BRIGHT = 0.7
LAYOUTS = ("apart", "classes", "labels", "rows", "rows and labels", "end to end", "columns", "objectness")


def write_box_detector(
    path: Path,
    layout: str,
    *,
    size: tuple[int, int] = (64, 64),
    offsets: Sequence[Sequence[float]] = ((0, 0, 0, 0),),
    scores: Sequence[float] = (0.9,),
    classes: Sequence[int] | None = None,
    batch: int | str = 1,
    uint8: bool = False,
    channels_last: bool = False,
) -> Path:
    """Write a detector of that input (h, w).

    Args:
        path: the file.
        layout: one of `LAYOUTS`.
        offsets: one for each box that it gives, added to the corners of the bright pixels.
        scores: of each box.
        classes: of each box, 0 is people; there are two of them.
        batch: length of the batch axis, or a name of an open one.
        uint8: whether the input is of bytes.
        channels_last: whether the input is [B, H, W, 3].
    """
    height, width = size
    count = len(offsets)
    kinds = list(classes or [0] * count)
    if layout == "objectness":  # a row for every cell of the grids
        rest = sum((height // s) * (width // s) for s in (8, 16, 32)) - count
    else:
        rest = max(0, 8 - count) if layout == "columns" else 0
    table = np.array([*offsets, *[(0, 0, 0, 0)] * rest], np.float32)
    sure = np.array([*scores, *[0.0] * rest], np.float32)
    kinds += [0] * rest
    one_hot = np.eye(2, dtype=np.float32)[kinds]
    constants: dict[str, np.ndarray] = {
        "offsets": table[None],
        "scores_": sure[None],
        "class_scores": (sure[:, None] * one_hot)[None],
        "one_hot": one_hot[None],
        "kinds": np.array(kinds, np.int64)[None],
        "kinds_": np.array(kinds, np.float32)[None, :, None],
        "bright": np.array(BRIGHT, np.float32),
        "scale": np.array(255 if uint8 else 1, np.float32),
        "zero": np.array(0, np.float32),
        "none": np.array(0, np.int64),
        "one": np.array(1, np.float32),
        "half": np.array(0.5, np.float32),
        "channel": np.array([3 if channels_last else 1], np.int64),
        "first": np.array([1], np.int64),
        "second": np.array([2], np.int64),
        "box": np.array([-1, 1, 4], np.int64),
        "two": np.array([2, 2], np.int64),
    }
    make = helper.make_node
    nodes = [
        make("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        make("Div", ["floats", "scale"], ["unit"]),
        make("ReduceMax", ["unit", "channel"], ["grey"], keepdims=0),
        make("Greater", ["grey", "bright"], ["lit"]),
        make("Cast", ["lit"], ["mask"], to=TensorProto.FLOAT),
        make("ReduceMax", ["mask", "first"], ["columns"], keepdims=0),
        make("ReduceMax", ["mask", "second"], ["lines"], keepdims=0),
    ]
    for axis, of in (("x", "columns"), ("y", "lines")):
        for end, last in (("0", 0), ("1", 1)):
            nodes += [
                make("ArgMax", [of], [f"{axis}{end}i"], axis=1, keepdims=1, select_last_index=last),
                make("Cast", [f"{axis}{end}i"], [f"{axis}{end}f"], to=TensorProto.FLOAT),
                make("Add", [f"{axis}{end}f", "one" if last else "zero"], [f"{axis}{end}"]),
            ]
    nodes += [
        make("Concat", ["x0", "y0", "x1", "y1"], ["corners"], axis=1),
        make("Reshape", ["corners", "box"], ["one_box"]),
        make("Add", ["one_box", "offsets"], ["boxes_"]),
        # Zeros [B, N, 4] give constants the length of the batch.
        make("Mul", ["boxes_", "zero"], ["zeros"]),
        make("ReduceSum", ["zeros", "second"], ["zeros2"], keepdims=0),
        make("ReduceSum", ["zeros", "second"], ["zeros3"], keepdims=1),
        make("Add", ["zeros2", "scores_"], ["scores2"]),
        make("Add", ["zeros3", "kinds_"], ["kinds3"]),
        make("Add", ["zeros3", "class_scores"], ["classes3"]),
        make("Add", ["zeros3", "one_hot"], ["one_hot3"]),
        make("Unsqueeze", ["scores2", "second"], ["scores3"]),
        make("Cast", ["zeros2"], ["zeros2i"], to=TensorProto.INT64),
        make("Add", ["zeros2i", "kinds"], ["labels_"]),
        make("Split", ["boxes_", "two"], ["low", "high"], axis=2),
        make("Sub", ["high", "low"], ["sides"]),
        make("Add", ["high", "low"], ["sums"]),
        make("Mul", ["sums", "half"], ["centres"]),
    ]
    ends: dict[str, list[Any]] = {
        "apart": [make("Identity", ["boxes_"], ["boxes"]), make("Identity", ["scores2"], ["scores"])],
        "classes": [make("Identity", ["classes3"], ["scores"]), make("Identity", ["boxes_"], ["boxes"])],
        "labels": [
            make("Identity", ["labels_"], ["labels"]),
            make("Identity", ["boxes_"], ["boxes"]),
            make("Identity", ["scores2"], ["scores"]),
        ],
        "rows": [make("Concat", ["boxes_", "scores3"], ["dets"], axis=2)],
        "rows and labels": [
            make("Concat", ["boxes_", "scores3"], ["dets"], axis=2),
            make("Identity", ["labels_"], ["labels"]),
        ],
        "end to end": [make("Concat", ["boxes_", "scores3", "kinds3"], ["output0"], axis=2)],
        "columns": [
            make("Concat", ["centres", "sides", "classes3"], ["by_box"], axis=2),
            make("Transpose", ["by_box"], ["output0"], perm=[0, 2, 1]),
        ],
        "objectness": [make("Concat", ["centres", "sides", "scores3", "one_hot3"], ["output0"], axis=2)],
    }
    shape = [batch, height, width, 3] if channels_last else [batch, 3, height, width]
    kind = TensorProto.UINT8 if uint8 else TensorProto.FLOAT
    outputs = [node.output[0] for node in ends[layout] if node.output[0] != "by_box"]
    graph = helper.make_graph(
        [*nodes, *ends[layout]],
        "boxes",
        [helper.make_tensor_value_info("images", kind, shape)],
        [
            helper.make_tensor_value_info(
                name, TensorProto.INT64 if name == "labels" else TensorProto.FLOAT, None
            )
            for name in outputs
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    onnx.save(model, path)
    return path
