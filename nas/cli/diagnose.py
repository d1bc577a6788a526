"""`nas diagnose`: how far the ranking of a search can be trusted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from nas.cli.console import err, print_json, print_table, say
from nas.cli.options import JsonOption, finite
from nas.cli.train import HoursOption, RunSetOption


def diagnose(
    run: Annotated[Path, typer.Argument(help="The run folder of a trained supernet.")],
    networks: Annotated[
        int | None, typer.Option(help="Networks to train alone (12); more than before are added.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Trainings of each (2); more are added.")] = None,
    images: Annotated[
        int | None,
        typer.Option(help="Images that each training sees; by default as long as the run's fine-tuning."),
    ] = None,
    bins: Annotated[
        int | None, typer.Option(help="Narrow bins of predicted milliseconds with several networks each (2).")
    ] = None,
    bin_width: Annotated[
        float | None, typer.Option("--bin-width", callback=finite, help="Width of a bin, as a share (0.04).")
    ] = None,
    max_ms: Annotated[
        float | None,
        typer.Option("--max-ms", callback=finite, help="Pick no network that is predicted to take longer."),
    ] = None,
    heads: Annotated[
        list[str] | None, typer.Option("--head", help="Pick networks of this head only; may be repeated.")
    ] = None,
    metric: Annotated[str, typer.Option(help="The score to compare, e.g. AP or PCK_torso@0.2.")] = "AP",
    predictor: Annotated[
        Path | None, typer.Option(help="A latency predictor; by default the run's latency/predictor.json.")
    ] = None,
    allow_other_device: Annotated[
        bool, typer.Option("--allow-other-device", help="Pick by another device's predictor.")
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of what is picked (0).")] = None,
    hours: HoursOption = None,
    overrides: RunSetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train some networks alone and compare them with what they inherit. The same command goes on."""
    from nas.report.diagnosis_files import write_diagnosis
    from nas.runs import RunFolder
    from nas.search.diagnosis.run import diagnose_run
    from nas.search.diagnosis.settings import DiagnosisSettings

    folder = RunFolder.open(run, overrides or [])
    settings = DiagnosisSettings(
        networks=networks,
        seeds=seeds,
        images=images,
        bins=bins,
        bin_width=bin_width,
        max_ms=max_ms,
        heads=heads or (),
        seed=seed,
        metric=metric,
        predictor=predictor,
        allow_other_device=allow_other_device,
        hours=hours,
    )
    found = diagnose_run(folder, settings, console=err, publish=write_diagnosis)
    if as_json:
        print_json(found)
        return
    _print_diagnosis(found)
    say(f"\nWritten: {folder.diagnosis_file}, .md and .png beside it   in the report of: nas report {run}")


def _print_diagnosis(found: Mapping[str, Any]) -> None:
    from nas.search.diagnosis.words import explain, rankings_table, scopes

    for title, scope in scopes(found):
        print_table(title, *rankings_table(scope))
        say()
    for sentence in explain(found):
        say(sentence)
