"""Networks to time: architectures through the tracer, and ONNX files."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nas.codecs.exported import ExportedNetwork
from nas.errors import UserError
from nas.files import require_file
from nas.space.arch import Arch
from nas.timing.outside import grouping
from nas.timing.protocol import Network, Outside
from nas.timing.session import open_session

if TYPE_CHECKING:
    from nas.graph import Graph, Tracer

ArchTracer = Callable[[Arch], "Graph"]

Precision = Literal["fp32", "int8"]
"""What a network computes in; int8 is that of `nas.graph.to_int8`."""


def arch_network(
    arch: Arch,
    tracer: "Tracer",
    *,
    name: str | None = None,
    precision: Precision = "fp32",
    check: bool = False,
) -> Network:
    """An architecture with arbitrary weights, as it would be exported: with decode, batch norm folded.

    With `check` it is no network to fit to, but one to check predictors on.
    """

    def model() -> bytes:
        from nas.graph import to_int8, to_onnx

        graph = tracer(arch)
        exported = to_onnx(graph) if precision == "fp32" else to_int8(graph)
        serialised: bytes = exported.SerializeToString()
        return serialised

    graph = tracer(arch)
    skeleton = tracer.skeleton
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


def file_network(path: Path) -> Network:
    """An ONNX file; the grouping is timed too where the file's metadata name the arch.

    Raises UserError where the file cannot be read or is no ONNX model.
    """
    require_file(path, "model")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    return Network(
        key=hashlib.sha256(content).hexdigest()[:12],
        name=path.name,
        model=path.read_bytes,
        outside=_outside(content, path),
        description=(("file", path.name),),
    )


def _outside(content: bytes, path: Path) -> Outside | None:
    session = open_session(content, threads=1, name=str(path))
    network = ExportedNetwork.of(session, str(path))
    return None if network is None else grouping(network.arch, network.skeleton)
