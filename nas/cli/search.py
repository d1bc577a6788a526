"""`nas search`: subnets of a trained supernet within budgets of milliseconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.console import print_json, print_table, remark, say
from nas.cli.displays import search_display
from nas.cli.options import finite
from nas.cli.train import RunSetOption

if TYPE_CHECKING:
    from nas.search.results import SearchResult
    from nas.search.shared import LeftToOthers

_LIMITS = {"p95_ms": "95 % of runs, ms", "memory_mb": "memory, MB", "file_mb": "file, MB"}


def search(
    run: Annotated[Path, typer.Argument(help="The run folder of a trained supernet.")],
    budgets_ms: Annotated[
        list[float],
        typer.Option(
            "--budget-ms", callback=finite, help="Most milliseconds a subnet may take; may be repeated."
        ),
    ],
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
    trials: Annotated[int, typer.Option(min=1, help="Networks to score for these budgets.")] = 200,
    metric: Annotated[str, typer.Option(help="The score to search for, e.g. AP or PCK_torso@0.2.")] = "AP",
    heads: Annotated[
        list[str] | None,
        typer.Option("--head", help="Look at this head only; may be repeated."),
    ] = None,
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
    predictor: Annotated[
        Path | None, typer.Option(help="A latency predictor; by default the run's latency/predictor.json.")
    ] = None,
    allow_other_device: Annotated[
        bool,
        typer.Option("--allow-other-device", help="Use another device's predictor; nothing is measured."),
    ] = False,
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
    seed: Annotated[int, typer.Option(help="Seed of all random choices.")] = 0,
    overrides: RunSetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find the most accurate subnet within each budget. The same command resumes an interrupted search."""
    from nas.cli.latency_display import VisitDisplay
    from nas.runs import RunFolder
    from nas.search.limits import Limits
    from nas.search.run import Displays, SearchSettings, search_run
    from nas.search.shared import LeftToOthers, search_worker

    folder = RunFolder.open(run, overrides or [])
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
        seed=seed,
        predictor=predictor,
        allow_other_device=allow_other_device,
        storage=storage,
        limits=Limits(p95_ms=p95_ms, memory_mb=memory_mb, file_mb=file_mb),
    )
    displays = Displays(search_display, VisitDisplay)
    result = (search_worker if worker else search_run)(folder, settings, progress=displays)
    if isinstance(result, LeftToOthers):
        print_left(result, as_json=as_json)
        return
    if as_json:
        print_json(result.to_json())
        return
    print_subnets(result)
    print_comparison(result)
    say(f"\nSubnets: {folder.subnets_folder}/*.json   everything: {folder.results_file}")
    for subnet in result.subnets[:1]:
        say(f"Next: nas finetune {run} {folder.subnets_folder / subnet.name}.json --name {subnet.name}")


def print_left(left: "LeftToOthers", *, as_json: bool) -> None:
    """Say who finishes a search that this process only scored for."""
    if as_json:
        by = None if left.by is None else {"host": left.by.host, "pid": left.by.pid}
        print_json({"scored": left.scored, "finals": {"by": by, "run": left.folder, "done": left.done}})
        return
    say(f"{left.scored} networks are scored, by all workers together.")
    if left.by is None:
        say(
            "Nothing is measured here, where the predictor is another device's: a worker on that device, or "
            "this command without --worker, finishes the search."
        )
        return
    when = "were" if left.done else "are being"
    say(f"The finalists {when} measured by {left.by}, in its run folder {left.folder}")


def print_subnets(result: "SearchResult") -> None:
    """The table of what was found, and what was not."""
    shown = list(dict.fromkeys((result.facts["metric"], "AP", "AP50")))
    rows: list[tuple[Any, ...]] = [
        (
            figures["name"],
            figures["budget_ms"],
            figures["predicted_ms"],
            figures["measured_ms"],
            figures["inherited"].get(shown[0]),
            _interval(figures),
            *(figures["inherited"].get(name) for name in shown[1:]),
            "timed under load" if figures["loaded"] else "",
        )
        for figures in (subnet.figures() for subnet in result.subnets)
    ]
    if average := result.facts.get("average_pose"):
        others = (average.get(name) for name in shown[1:])
        rows.append(("average pose", None, None, None, average.get(shown[0]), "", *others, ""))
    print_table(
        f"{_scored(result)} on the search split, with inherited weights",
        (
            "subnet", "budget ms", "predicted ms", "measured ms", f"inherited {shown[0]}", "95 % interval",
            *shown[1:], "",
        ),
        rows,
    )  # fmt: skip
    _print_average_pose(result)
    for subnet in result.subnets:
        if subnet.tied:
            say(f"{subnet.name} is as accurate as {', '.join(subnet.tied)}, as far as these people can tell.")
    if result.facts.get("limits"):
        print_table(
            "Limits, measured",
            (
                "subnet",
                *(f"{_LIMITS[name]} (at most {limit:g})" for name, limit in result.facts["limits"].items()),
            ),
            (
                (subnet.name, *(_limited(subnet.figures(), name) for name in result.facts["limits"]))
                for subnet in result.subnets
            ),
        )
        untold = {
            name
            for name in result.facts["limits"]
            if any(subnet.measured and _limited(subnet.figures(), name) is None for subnet in result.subnets)
        }
        for name in sorted(untold):
            remark(
                f"{_LIMITS[name]}: this system does not tell it, so that limit was held by prediction alone."
            )
    also = " and the limits" if result.facts.get("limits") else ""
    for budget in result.unmet_ms:
        remark(
            f"{budget:g} ms: no network was measured within it{also}, though predicted to be; score more "
            "networks (--trials), measure more for the predictor, or raise the budget."
        )
    if result.subnets and result.subnets[0].measured is None:
        remark("The predictor is of another device: nothing was measured here.")


def _interval(figures: Mapping[str, Any]) -> str:
    """Between which accuracies one lies, had other people been drawn."""
    low, high = figures.get("accuracy_low"), figures.get("accuracy_high")
    return "" if low is None or high is None else f"{low:.3f} - {high:.3f}"


def _scored(result: "SearchResult") -> str:
    stopped = sum(item.stopped_at is not None for item in result.history)
    return f"{len(result.history)} networks scored{f' ({stopped} stopped early)' if stopped else ''}"


def _print_average_pose(result: "SearchResult") -> None:
    """Say what is no better than no network at all."""
    from nas.search.results import NOTHING_LEARNED

    if result.beats_average(result.history) is False:
        say(NOTHING_LEARNED)
        return
    for subnet in result.subnets:
        if result.beats_average([subnet.item]) is False:
            say(f"{subnet.name} scores no better than the average pose in everyone's true box.")


def _limited(figures: Mapping[str, Any], limit: str) -> float | None:
    """What is held against a limit, in its unit."""
    if limit == "p95_ms":
        value: float | None = figures["total_p95_ms"]
        return value
    size = figures["peak_memory_bytes" if limit == "memory_mb" else "file_bytes"]
    return None if size is None else size / 1e6


def print_comparison(result: "SearchResult") -> None:
    """Predicted against measured: of all finalists, and of what was measured to refine the predictor."""
    from nas.search.results import drift_remarks, finalist_remarks

    finalists = result.finalists()
    if finalists:
        say()
        print_table(
            "Predicted against measured, all finalists",
            ("network", "predicted ms", "90 % interval", "measured ms", "error", "inside", ""),
            (
                (
                    entry["arch"],
                    entry["predicted_ms"],
                    f"{entry['low_ms']:.3f} - {entry['high_ms']:.3f}",
                    entry["measured_ms"],
                    f"{entry['error_percent']:+.1f} %",
                    "yes" if entry["in_interval"] else "no",
                    finalist_remarks(entry),
                )
                for entry in finalists
            ),
        )
        for line in drift_remarks(finalists):
            say(line)
        first = finalists[0]
        if first["people"] > 1 or first["detector_ms"]:
            say(
                f"Times are for {first['people']} people, grouping included, with "
                f"{first['detector_ms']:.3f} ms of a person detector."
            )
    for number, done in enumerate(result.facts.get("refinement", []), start=1):
        errors = [abs(tried["predicted_ms"] / tried["measured_ms"] - 1) for tried in done["networks"]]
        say(
            f"Refinement {number}, after {done['scored']} networks: {len(errors)} measured, before which the "
            f"predictor was off by {sum(errors) / len(errors):.1%} on average."
        )
    if refitted := result.facts.get("refined_predictor"):
        say(f"The refitted predictor is in {refitted}; the one that was given is as it was.")
