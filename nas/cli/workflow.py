"""`nas run` and `nas init`: the whole way on one's own data, and what to start from."""

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.console import err, print_json, remark, say
from nas.cli.options import CategoryOption, JsonOption, finite
from nas.cli.train import HoursOption, SetOption
from nas.cli.workflow_display import print_summary, workflow_displays


def run(
    recipe: Annotated[
        str, typer.Argument(help="A YAML file, such as one of `nas init`, or a shipped supernet's name.")
    ],
    budgets_ms: Annotated[
        list[float] | None,
        typer.Option(
            "--budget-ms",
            callback=finite,
            help="Most milliseconds a network may take; may be repeated. By default two that this machine's "
            "times suggest.",
        ),
    ] = None,
    overrides: SetOption = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the run; by default the recipe's.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option("--runs", help="Where runs lie; by default runs/ beside the recipe.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Changes all random choices of training.")
    ] = None,
    hours: HoursOption = None,
    as_json: JsonOption = False,
) -> None:
    """From data to ONNX files and a report: check, measure, train, search, fine-tune, validate, export.

    Steps whose results are there are left out; the same command goes on where it was stopped.
    """
    from nas.files import one_component
    from nas.runs import load_config
    from nas.workflow.workflow import run_workflow, usual_runs

    changes = [*(overrides or []), *([f"seed={seed}"] if seed is not None else [])]
    config = load_config(recipe, changes)
    folder = (runs or usual_runs(recipe)) / one_component(name or config.name, "--name")
    summary = run_workflow(
        config,
        folder,
        budgets_ms=budgets_ms or (),
        hours=hours,
        console=err,
        displays=workflow_displays(),
    )
    if as_json:
        print_json(summary)
        return
    print_summary(folder, summary)


def init(
    annotations: Annotated[Path, typer.Argument(help="A COCO keypoint file.")],
    images: Annotated[
        Path | None, typer.Option(help="The image folder; by default looked for around the annotations.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--out", help="The folder to write into; by default the file's own.")
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(
            help="A COCO keypoint file to validate on; by default a share of the first is held out."
        ),
    ] = None,
    val_images: Annotated[Path | None, typer.Option(help="Its image folder; looked for likewise.")] = None,
    category: CategoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write recipe.yaml, space.yaml and skeleton.yaml for a data set, sized for it and this machine."""
    from nas.workflow.start import write_start

    start = write_start(
        annotations, images=images, output=output, val=val, val_images=val_images, category=category
    )
    if as_json:
        print_json(start.to_json())
        return
    for path in start.files:
        say(str(path))
    say()
    for line in start.found:
        say(line)
    for line in start.remarks:
        remark(f"Look at this: {line}")
    say(f"\nNext: nas run {start.files[-1]}   (choose your own milliseconds with --budget-ms)")
