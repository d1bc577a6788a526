"""`nas latency`: milliseconds of networks on this machine."""

import typer

from nas.cli.latency_fit import fit
from nas.cli.latency_measure import measure, time_
from nas.cli.latency_pack import import_, pack
from nas.cli.latency_predict import predict

app = typer.Typer()
app.command()(fit)
app.command()(predict)
app.command()(pack)
app.command(name="import")(import_)
app.command()(measure)
app.command(name="time")(time_)


@app.callback()
def _latency() -> None:
    """Milliseconds on this machine: measure, fit, predict."""
