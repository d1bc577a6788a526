"""`nas export`: a finished network as an ONNX file."""

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.console import out, print_json


def export(
    weights: Annotated[Path, typer.Argument(help="A plain network's weights, with statistics.")],
    output: Annotated[Path | None, typer.Option("--out", help="By default beside the weights.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write ONNX with batch norm folded and decode inside, after comparing its outputs with torch's."""
    from nas.errors import UserError
    from nas.graph import complexity, export_onnx
    from nas.models import load_weights

    net = load_weights(weights)
    if net.arch is None:
        raise UserError(f"{weights}: a supernet; take a subnet out of it first: nas transfer RUN ARCH.json")
    path = output or weights.with_suffix(".onnx")
    export_onnx(net, path)
    size = complexity(net.arch, net.skeleton)
    figures = {"onnx": str(path), "params": size.params, "macs": size.macs, "bytes": path.stat().st_size}
    if as_json:
        print_json(figures)
        return
    out.print(f"{path}: {size.params:,} parameters, {size.macs:,} MACs, {figures['bytes']:,} bytes")
    out.print("Its outputs agree with torch's.")
