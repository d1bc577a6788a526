"""Networks to time: architectures through the tracer."""

from collections.abc import Callable
from typing import Literal

from nas.graph import Graph, to_int8, to_onnx
from nas.space.arch import Arch
from nas.timing.networks import grouping
from nas.timing.protocol import Network

ArchTracer = Callable[[Arch], Graph]

Precision = Literal["fp32", "int8"]
"""What a network computes in; int8 is that of `nas.graph.to_int8`."""


def arch_network(
    arch: Arch,
    tracer: ArchTracer,
    *,
    name: str | None = None,
    precision: Precision = "fp32",
    check: bool = False,
) -> Network:
    """An architecture with arbitrary weights, as it would be exported: with decode, batch norm folded.

    With `check` it is no network to fit to, but one to check predictors on.
    """

    def model() -> bytes:
        export = to_onnx if precision == "fp32" else to_int8
        return bytes(export(tracer(arch)).SerializeToString())

    graph = tracer(arch)
    skeleton = graph.skeleton
    suffix = "" if precision == "fp32" else f"-{precision}"
    return Network(
        key=f"{arch.id}-{skeleton.name}{suffix}",
        name=f"{name or arch.id}{suffix}",
        model=model,
        outside=grouping(arch, skeleton),
        description=(
            ("arch", arch.to_json()),
            ("skeleton", skeleton.name),
            ("precision", precision),
            ("macs", graph.macs),
            ("params", graph.params),
            *((("check", True),) if check else ()),
        ),
    )
