"""The number of channels that onnxruntime's convolutions compute at once: they cost in steps of it."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from nas.timing.session import open_session, random_feed

# Blocks in use are 4, 8 and 16: this many channels are padded to 20, 24 and 32.
_PROBE_CHANNELS = 20
_BLOCKS = {24: 8, 32: 16}


def detect_channel_block(probe: bytes | None = None) -> int:
    """This machine's channel block, seen in the shape of a profiled convolution; 1 without padding.

    Args:
        probe: the model of `probe_model`, where the package onnx is not at hand to make it.
    """
    name = "channel block probe"
    with tempfile.TemporaryDirectory(prefix="nas-latency-") as folder:
        session = open_session(probe or probe_model(), threads=1, name=name, profile=Path(folder) / "profile")
        session.run(None, random_feed(session, np.random.default_rng(0), name=name))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return block_of(events)


def block_of(events: list[dict[str, Any]]) -> int:
    """The channel block in the probe's profile events. Raises ValueError where they hold no convolution."""
    for event in events:
        arguments = event.get("args", {})
        # Older versions of onnxruntime have events without shapes before and after a kernel's own.
        if event["cat"] == "Node" and arguments.get("op_name") == "Conv" and "output_type_shape" in arguments:
            (shape,) = arguments["output_type_shape"][0].values()
            return _BLOCKS.get(shape[1], 1)
    raise ValueError("the profile holds no convolution")


def probe_model() -> bytes:
    """Two convolutions of 20 channels, serialised: one alone would not be worth the blocked layout."""
    from onnx import TensorProto, helper, numpy_helper

    channels = _PROBE_CHANNELS
    weights = [
        numpy_helper.from_array(np.ones((channels, inputs, 3, 3), np.float32), name)
        for name, inputs in (("first", 3), ("second", channels))
    ]
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["middle"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["middle", "second"], ["features"], pads=[1, 1, 1, 1]),
    ]
    size = [1, 3, 32, 32]
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, None)],
        weights,
    )
    model: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()
    return model
