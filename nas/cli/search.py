"""`nas search`: subnets of a trained supernet within budgets of milliseconds."""

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.console import err, print_json
from nas.cli.displays import search_display
from nas.cli.options import JsonOption, SeedOption, finite
from nas.cli.search_display import print_comparison, print_left, print_place, print_subnets
from nas.cli.train import RunSetOption
from nas.errors import UserError


def search(
    run: Annotated[Path, typer.Argument(help="The run folder of a trained supernet.")],
    budgets_ms: Annotated[
        list[float],
        typer.Option(
            "--budget-ms", callback=finite, help="Most milliseconds a subnet may take; may be repeated."
        ),
    ],
    also: Annotated[
        list[Path] | None,
        typer.Option(
            "--also",
            help="Another run, of the same task and people: both are searched at once, and the best of all "
            "networks found; may be repeated.",
        ),
    ] = None,
    p95_ms: Annotated[
        float | None,
        typer.Option(
            "--max-p95-ms", callback=finite, help="Most milliseconds that 95 % of a subnet's runs may take."
        ),
    ] = None,
    memory_mb: Annotated[
        float | None,
        typer.Option(
            "--max-memory-mb", callback=finite, help="Most memory that loading and running it may take."
        ),
    ] = None,
    file_mb: Annotated[
        float | None,
        typer.Option("--max-file-mb", callback=finite, help="Largest ONNX file that it may have."),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Networks to score for these budgets, in all runs together; 200 by default, with --device "
            "none anew.",
        ),
    ] = None,
    metric: Annotated[str, typer.Option(help="The score to search for, e.g. AP or PCK_torso@0.2.")] = "AP",
    heads: Annotated[
        list[str] | None,
        typer.Option("--head", help="Look at this head only; may be repeated."),
    ] = None,
    each_head: Annotated[
        bool,
        typer.Option(
            "--each-head/--no-each-head",
            help="Search every head by itself, in turns, so that none is left behind; without, all as one.",
        ),
    ] = True,
    train_finalists: Annotated[
        int,
        typer.Option(
            "--train-finalists",
            min=0,
            help="Images to train the best network of each head (and run) on for, and to choose by what they "
            "score then: inherited scores of different heads do not compare.",
        ),
    ] = 0,
    people: Annotated[
        int, typer.Option(min=1, help="People per image: a head on person crops runs once for each.")
    ] = 1,
    detector_ms: Annotated[
        float,
        typer.Option(
            "--detector-ms", min=0, callback=finite, help="Time of the person detector that finds the crops."
        ),
    ] = 0.0,
    detector: Annotated[
        Path | None, typer.Option(help="The person detector's ONNX file, timed here instead.")
    ] = None,
    finalists: Annotated[int, typer.Option(min=1, help="Networks per budget that are really measured.")] = 3,
    refine: Annotated[
        int,
        typer.Option(min=0, help="Most networks to measure during the search, to refit the predictor with."),
    ] = 0,
    calibration_images: Annotated[
        int | None,
        typer.Option(
            "--calibration-images",
            min=1,
            help="Training images that calibrate a network while searching; 64, or as the search began.",
        ),
    ] = None,
    early_stopping: Annotated[
        bool | None,
        typer.Option(
            "--early-stopping/--no-early-stopping",
            help="Stop scoring networks that will not be among the finalists; on, or as the search began.",
        ),
    ] = None,
    sampler: Annotated[
        str,
        typer.Option(help="What draws networks: surrogate, evolution, nsga2, tpe, gp or random."),
    ] = "surrogate",
    prior: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A searched run with other weights of the same space: where to expect good networks.",
        ),
    ] = None,
    predictor: Annotated[
        Path | None, typer.Option(help="A latency predictor; by default the run's latency/predictor.json.")
    ] = None,
    device: Annotated[
        Path | None,
        typer.Option(
            help="The predictor of another device: its subnets, of all that was scored in this run before; "
            "into a folder of their own."
        ),
    ] = None,
    allow_other_device: Annotated[
        bool,
        typer.Option("--allow-other-device", help="Use another device's predictor; nothing is measured."),
    ] = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure",
            help="Measure finalists here; without, predicted milliseconds decide, as is right where others "
            "use this machine too.",
        ),
    ] = True,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage URL; by default sqlite in the run.")
    ] = None,
    worker: Annotated[
        bool,
        typer.Option(
            "--worker",
            help="Be one of several that score for one --storage, each in the run or a copy of it.",
        ),
    ] = False,
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes that score at once; above 1 their pace decides too which networks are scored.",
        ),
    ] = 1,
    seed: SeedOption = 0,
    overrides: RunSetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the most accurate subnet within each budget. The same command resumes an interrupted search."""
    from nas.cli.latency_display import VisitDisplay
    from nas.runs import RunFolder
    from nas.search.limits import Limits
    from nas.search.settings import Displays, SearchSettings
    from nas.search.shared import LeftToOthers, search_worker
    from nas.search.together import search_together

    if worker and (also or processes > 1):
        raise UserError(
            "--worker is one of several processes that share the search of a run: start them without --also "
            "and --processes"
        )
    folder = RunFolder.open(run, overrides or [])
    others = [RunFolder.open(other, overrides or []) for other in also or ()]
    settings = SearchSettings(
        budgets_ms=budgets_ms,
        trials=trials,
        metric=metric,
        heads=heads or (),
        people=people,
        detector_ms=detector_ms,
        detector=detector,
        finalists=finalists,
        refine=refine,
        calibration_images=calibration_images,
        early_stopping=early_stopping,
        sampler=sampler,
        prior=prior,
        seed=seed,
        predictor=predictor,
        device=device,
        allow_other_device=allow_other_device,
        measure=measure,
        each_head=each_head,
        train_finalists=train_finalists,
        storage=storage,
        limits=Limits(p95_ms=p95_ms, memory_mb=memory_mb, file_mb=file_mb),
        processes=processes,
    )
    displays = Displays(search_display, VisitDisplay, err)
    if worker:
        result = search_worker(folder, settings, progress=displays)
    else:
        result = search_together(folder, settings, also=others, progress=displays)
    if isinstance(result, LeftToOthers):
        print_left(result, as_json=as_json)
        return
    if as_json:
        print_json(result.to_json())
        return
    print_subnets(result)
    print_comparison(result)
    print_place(result, run)
