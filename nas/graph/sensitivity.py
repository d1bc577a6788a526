"""How much each layer of a network suffers from eight bits."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from nas.arrays import Floats
from nas.graph.batch import batches
from nas.graph.graph import Graph
from nas.graph.onnx import RAW_PREFIX
from nas.graph.quantise import Quantiser
from nas.timing.session import open_session

Outputs = list[Floats]


def layer_errors(
    model: ModelProto,
    graph: Graph,
    images: Sequence[NDArray[np.float32]],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> dict[int, float]:
    """The error of a network's outputs before decode when one layer alone computes in int8, layer by layer.

    Errors are squares, relative to the outputs' variance, and the mean over outputs; while they are small,
    those of several layers add up.

    Args:
        model: of `float_model`, with raw outputs.
        graph: that its nodes are named after.
        images: normalised images [3, H, W].
        progress: called with layers done and layers in all.

    Returns:
        By the edge that a layer gives, as `Quantiser.layers`.
    """
    exact = _raw(model, images)
    scales = [max(float(values.var()), float(np.finfo(np.float32).tiny)) for values in exact]
    quantiser = Quantiser(model, graph, images=images)
    errors: dict[int, float] = {}
    for edge in quantiser.layers:
        found = _raw(quantiser(exact=quantiser.layers.keys() - {edge}), images)
        squares = [float(np.square(a - b).mean()) for a, b in zip(found, exact, strict=True)]
        errors[edge] = float(np.mean([square / scale for square, scale in zip(squares, scales, strict=True)]))
        if progress is not None:
            progress(len(errors), len(quantiser.layers))
    return errors


def _raw(model: ModelProto, images: Sequence[NDArray[np.float32]]) -> Outputs:
    """The raw outputs over all images."""
    session = open_session(model.SerializeToString(), threads=1, name="the exported model")
    names = [node.name for node in session.get_outputs() if node.name.startswith(RAW_PREFIX)]
    (given,) = session.get_inputs()
    size = given.shape[0] if isinstance(given.shape[0], int) else 0
    runs = [session.run(names, {given.name: batch}) for batch in batches(images, size)]
    return [np.concatenate(values).astype(np.float64) for values in zip(*runs, strict=True)]
