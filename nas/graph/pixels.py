"""Normalisation inside an ONNX file: it takes the bytes of pictures as they are."""

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nas.codecs.normalise import normalisation
from nas.graph.builder import EDGE
from nas.graph.onnx import describe

_INNER = "normalised"


def take_pixels(model: ModelProto) -> None:
    """Let a model take RGB bytes [B, H, W, 3] in place of normalised floats [B, 3, H, W], in place.

    The arithmetic is that of `nas.codecs.normalise`: both forms of a file give the same for one picture.
    """
    (images,) = model.graph.input
    _rename_readers(model, images.name, _INNER)
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Transpose", [], {"perm": (0, 3, 1, 2)}),  # of bytes, a quarter of the floats
        ("Cast", [], {"to": TensorProto.FLOAT}),
        ("Mul", [f"{_INNER}_scale"], {}),
        ("Add", [f"{_INNER}_offset"], {}),
    ]
    made, source = [], images.name
    for type_, constants, attributes in steps:
        output = _INNER if type_ == steps[-1][0] else f"{_INNER}_{type_.lower()}"
        name = f"{EDGE}0.{type_}"
        made.append(helper.make_node(type_, [source, *constants], [output], name=name, **attributes))
        source = output
    body = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*made, *body])
    for name, values in zip(("scale", "offset"), normalisation(), strict=True):
        tensor = numpy_helper.from_array(np.ascontiguousarray(values).reshape(1, 3, 1, 1), f"{_INNER}_{name}")
        model.graph.initializer.append(tensor)
    batch, channels, height, width = (
        axis.dim_param or axis.dim_value for axis in images.type.tensor_type.shape.dim
    )
    shape = [batch, height, width, channels]
    images.CopyFrom(helper.make_tensor_value_info(images.name, TensorProto.UINT8, shape))
    describe(model, input={"type": "uint8", "layout": "NHWC"})


def _rename_readers(model: ModelProto, name: str, other: str) -> None:
    """Let all nodes that read a tensor read another."""
    for node in model.graph.node:
        for position, read in enumerate(node.input):
            if read == name:
                node.input[position] = other
