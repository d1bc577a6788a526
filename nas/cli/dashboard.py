"""`nas dashboard`: the trials of a search in the browser."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from nas.cli.console import say


def dashboard(
    run: Annotated[Path, typer.Argument(help="A run folder that has been searched.")],
    storage: Annotated[str | None, typer.Option(help="The search's Optuna storage URL.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 for any.")] = 8080,
) -> None:
    """Show a search's study in optuna-dashboard, until Ctrl-C."""
    from nas.runs import RunFolder
    from nas.search.dashboard import dashboard as prepared

    server, address = prepared(RunFolder.open(run), storage=storage, host=host, port=port)
    say(f"The study is at {address}; Ctrl-C ends this.")
    with server, suppress(KeyboardInterrupt):
        server.serve_forever()
