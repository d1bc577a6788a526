"""Forms of an ONNX file: images of one run, operators, and whether pixels or floats go in."""

from dataclasses import dataclass

import onnx
from onnx import ModelProto

from nas.errors import UserError
from nas.graph.batch import open_batch
from nas.graph.builder import OPSET
from nas.graph.graph import Graph
from nas.graph.onnx import to_onnx
from nas.graph.tracer import Tracer
from nas.layers import Statistics
from nas.models import PoseNet
from nas.space.arch import Arch

OLDEST_OPSET = 13
"""Before it, integers have one scale for all channels, and sums no axes to choose."""


@dataclass(frozen=True)
class OnnxForm:
    """What an ONNX file takes, and whom it is for.

    Args:
        batch: images of one run; None for any number.
        opset: version of the operators.
        uint8_input: whether it takes RGB bytes [B, H, W, 3] and normalises inside; else it takes normalised
            floats [B, 3, H, W].

    Raises:
        UserError: no image, or an opset that is not written.
    """

    batch: int | None = 1
    opset: int = OPSET
    uint8_input: bool = False

    def __post_init__(self) -> None:
        if self.batch is not None and self.batch < 1:
            raise UserError(f"`batch`: a file runs one image at least, not {self.batch}")
        newest = onnx.defs.onnx_opset_version()
        if not OLDEST_OPSET <= self.opset <= newest:
            raise UserError(f"`opset`: {self.opset} is not written; choose {OLDEST_OPSET} to {newest}")


def float_model(
    net: PoseNet,
    form: OnnxForm,
    arch: Arch | None = None,
    stats: Statistics | None = None,
    *,
    raw: bool = False,
) -> tuple[ModelProto, Graph]:
    """A network's model in a form, but taking floats, and the graph that its nodes are named after.

    For arguments and errors see `to_onnx`; raises UserError too where the batch cannot be left open, or an
    operator is not of that opset.
    """
    chosen, tracer = net.resolve(arch), Tracer.of(net)

    def traced(batch: int) -> tuple[ModelProto, Graph]:
        graph = tracer(chosen, batch=batch)
        return to_onnx(graph, net, stats=stats, raw=raw, opset=form.opset), graph

    model, graph = traced(2 if form.batch is None else form.batch)
    if form.batch is None:
        try:
            model = open_batch(model, traced(3)[0])
        except ValueError as error:
            raise UserError(f"`batch`: it cannot be left open ({error}); give a number") from None
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise UserError(f"`opset`: {form.opset} does not hold this network: {error}") from None
    return model, graph
