"""`nas web`: a page that runs an exported network in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.console import say
from nas.outputs import PAGE, require_replaceable


def web(
    model: Annotated[Path, typer.Argument(help="Of `nas export --uint8-input`.")],
    library: Annotated[
        Path, typer.Option(help="Folder of the npm package onnxruntime-web, unpacked or installed.")
    ],
    output: Annotated[Path | None, typer.Option("--out", help="By default beside the model.")] = None,
) -> None:
    """Write one HTML page that runs a network on a picture or on the camera; no request leaves it."""
    from nas.report.web_page import write_web_page

    path = output or model.with_suffix(".html")
    require_replaceable(path, PAGE, inputs=(model,))
    write_web_page(model, library, path)
    say(f"{path}: {path.stat().st_size:,} bytes. It needs nothing beside itself, and no network.")
