"""The parts of a run's report, each as HTML."""

import io
from collections.abc import Iterator, Mapping, Sequence

from nas.errors import UserError
from nas.latency import LatencyPredictor
from nas.latency.validation import HeldOutErrors
from nas.report.html import cell, facts, missing, paragraph, picture, table
from nas.report.latency_plot import plot_predicted
from nas.report.run_files import GIVEN, Figures
from nas.report.run_plots import Point, plot_accuracy, plot_training
from nas.runs.folder import RunFolder
from nas.runs.metrics import PLACE_OF_RANDOM
from nas.search.results import drift_remarks, finalist_remarks
from nas.space import Skeleton
from nas.timing import DeviceDescription

NO_SEARCH = "results of a search (search/results.json); nas search makes them."
NO_PREDICTOR = "a latency predictor that can be read; nas latency measure and nas latency fit make one."

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class MissingPartError(Exception):
    """A part of the run is not there; says which, and what makes it."""


def searched(run: RunFolder, results: Figures | None) -> str:
    """Space, device, budgets."""
    rows: list[tuple[str, object]] = [("Run", str(run.path))]
    try:
        config = run.config()
        space = config.load_space()
        rows += [
            ("Search space", f"{space.name}: {_count(space.size)} networks, heads {', '.join(space.heads)}"),
            ("Resolutions", ", ".join(f"{height} x {width}" for height, width in space.resolutions)),
            ("Skeleton", Skeleton.load(config.skeleton).name),
        ]
    except UserError as error:
        return facts(rows) + missing(f"the search space ({error})")
    if results is None:
        return facts(rows) + missing(NO_SEARCH)
    rows += [
        ("Budgets", ", ".join(f"{budget:g} ms" for budget in results["budgets_ms"])),
        ("Searched for", f"{results['metric']}; {results['scored']:,} networks scored"),
        ("Budgets cover", _what_is_paid(results)),
        ("Device", str(DeviceDescription.from_json(results["device"]))),
    ]
    if results.get("measured_on") not in (None, results["device"]):
        rows.append(
            (
                "Measured on",
                f"{DeviceDescription.from_json(results['measured_on'])}, not what was predicted for",
            )
        )
    return facts(rows)


def comparison(results: Figures | None, predictors: Mapping[str, LatencyPredictor]) -> str:
    """Predicted against measured: plot, finalists, refinement."""
    points = [*_held_out(predictors), *_refined(results), *_finalists(results)]
    if not points:
        raise MissingPartError(
            "networks that were both predicted and measured; nas search measures finalists."
        )
    predicted, measured, low, high, groups = zip(*points, strict=True)
    stream = io.BytesIO()
    plot_predicted(
        stream,
        predicted=predicted,
        measured=measured,
        low=low,
        high=high,
        groups=groups,
        title="One run of the network, decode included",
    )
    content = picture(
        stream.getvalue(),
        alt="Predicted over measured milliseconds",
        caption="Held out: networks of the predictor's own table, each predicted by fits that did not see "
        "it. Networks measured while searching: as predicted before. Bars: the predicted 90 % interval.",
    )
    if results is None:
        return content + missing(NO_SEARCH)
    if results["measured"]:
        columns = ("finalist", "predicted ms", "90 % interval", "measured ms", "error", "inside", "")
        rows = [(entry["arch"], *compared(entry), finalist_remarks(entry)) for entry in results["measured"]]
        content += table(columns, rows)
        content += "".join(paragraph(line, note=True) for line in drift_remarks(results["measured"]))
    else:
        content += missing("measured finalists: the predictor is of another device.")
    return content + _refinement(results)


def scatter(results: Figures | None) -> str:
    """Accuracy against latency."""
    if results is None:
        raise MissingPartError(NO_SEARCH)
    evaluated = results.get("evaluated", [])
    scored, stopped = (
        [Point(e["predicted_ms"], e["accuracy"]) for e in evaluated if ("stopped_at" in e) == early]
        for early in (False, True)
    )
    front = [Point(e["predicted_ms"], e["accuracy"]) for e in results["front"]]
    metric = str(results["metric"])
    measured = bool(results["measured"])
    winners = [
        Point(e["measured_ms" if measured else "predicted_ms"], e["inherited"][metric], e["name"])
        for e in results["subnets"]
        if metric in e["inherited"]
    ]
    if not front:
        raise MissingPartError("scored networks; nas search with more trials.")
    plot = plot_accuracy(
        scored,
        front,
        winners,
        stopped=stopped,
        metric=metric,
        budgets_ms=results["budgets_ms"],
        measured=measured,
    )
    caption = "The Pareto front: networks that no other scored one beats in both accuracy and predicted time."
    content = picture(plot, alt="Accuracy over milliseconds with the Pareto front", caption=caption)
    return (
        content if scored else content + missing("all scored networks; an older search kept the front only.")
    )


def predictor_errors(predictors: Mapping[str, LatencyPredictor], results: Figures | None) -> str:
    """Held-out errors beside baselines and the noise of the timings."""
    if not predictors:
        raise MissingPartError(NO_PREDICTOR)
    columns = ("", "networks", "mean error", "largest", "within 5 %", "within 10 %", "Spearman")
    rows: list[Sequence[object]] = []
    for name, predictor in predictors.items():
        validation = predictor.validation
        rows.append((f"predictor, {name}", validation.networks, *_errors(validation.held_out)))
        rows += [
            (f"– baseline: {label}", validation.networks, *_errors(errors))
            for label, errors in validation.baselines.items()
        ]
    content = table(columns, rows)
    if GIVEN not in predictors and results is not None:
        content += missing(
            f"the search's own predictor: {results.get('predictor')} is gone, or was fitted anew since."
        )
    for name, predictor in predictors.items():
        floor, loaded = predictor.validation.noise_floor, predictor.validation.loaded
        if floor is None:
            content += missing(f"noise floor ({name}); measure with two visits or more.")
        else:
            content += paragraph(
                f"Noise floor ({name}): the measured times themselves err by {floor:.1%}, by half of the "
                "visits against the other half."
            )
        if loaded:
            content += paragraph(
                f"{loaded} networks ({name}) were timed while other processes used the processor: the 90 % "
                f"intervals are wider by {predictor.uncertainty.loaded:.1%} for it.",
                note=True,
            )
    return content


def training(rows: Sequence[Mapping[str, float | int | None]]) -> str:
    """The supernet's training curve, and the last place of random networks for each head."""
    if not any("/" in name for row in rows for name in row):
        raise MissingPartError("the supernet's training curve (metrics.jsonl); nas train writes it.")
    steps = max(int(row["step"] or 0) for row in rows)
    plot = plot_training(rows)
    caption = f"{steps:,} steps; losses smoothed, raw ones pale."
    return picture(plot, alt="Losses over steps", caption=caption) + _places_of_random(rows)


def _places_of_random(rows: Sequence[Mapping[str, float | int | None]]) -> str:
    last = {
        name.removeprefix(PLACE_OF_RANDOM): value
        for row in rows
        for name, value in row.items()
        if name.startswith(PLACE_OF_RANDOM) and value is not None
    }
    if not last:
        return ""
    return table(("head", "place of random networks"), list(last.items())) + paragraph(
        "Where the label loss of random networks lay in the last steps: "
        "0 as the smallest network's, 1 as the largest's.",
        note=True,
    )


def compared(entry: Figures) -> tuple[object, ...]:
    """Predicted, interval, measured, error, inside; dashes for what an older search did not keep."""
    low, high, error = (entry.get(name) for name in ("low_ms", "high_ms", "error_percent"))
    interval = None if low is None or high is None else f"{cell(low)} – {cell(high)}"
    measured = entry.get("measured_ms")
    if error is None and measured:
        error = 100 * (entry["predicted_ms"] / measured - 1)
    shown = None if error is None else f"{error:+.1f} %"
    return entry["predicted_ms"], interval, measured, shown, entry.get("in_interval")


def _count(number: int) -> str:
    """A whole number; a large one as a power of ten."""
    if number < 10**7:
        return f"{number:,}"
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa} · 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def _what_is_paid(results: Figures) -> str:
    people, detector = results.get("people", 1), results.get("detector_ms") or 0
    parts = ["network with decode, grouping"]
    if people > 1:
        parts.append(f"for {people} people, where the network looks at one person each time")
    if detector:
        parts.append(f"a person detector of {detector:.3g} ms")
    return ", ".join(parts)


def _refinement(results: Figures) -> str:
    rounds = results.get("refinement", [])
    if not rounds:
        return ""
    columns = (
        "measured while searching",
        "after",
        "predicted ms",
        "90 % interval",
        "measured ms",
        "error",
        "inside",
    )
    rows = []
    for done in rounds:
        for tried in done["networks"]:
            low, high, measured = tried["low_ms"], tried["high_ms"], tried["measured_ms"]
            figures = {
                **tried,
                "error_percent": 100 * (tried["predicted_ms"] / measured - 1),
                "in_interval": low <= measured <= high,
            }
            rows.append((tried["arch"], f"{done['scored']} networks", *compared(figures)))
    return table(columns, rows) + paragraph(
        "One run of the network; predicted before it was measured. The predictor was refitted with these.",
        note=True,
    )


def _held_out(predictors: Mapping[str, LatencyPredictor]) -> Iterator[tuple[float, float, float, float, str]]:
    """Of the predictor as given: the refitted one has seen what was measured while searching."""
    predictor = predictors.get(GIVEN)
    if predictor is not None:
        validation = predictor.validation
        for predicted, measured in zip(validation.predicted, validation.measured, strict=True):
            yield predicted, measured, float("nan"), float("nan"), "held out of the fit"


def _refined(results: Figures | None) -> Iterator[tuple[float, float, float, float, str]]:
    """As predicted before they were measured; those that became finalists are called so."""
    finalists = {entry["arch"] for entry in (results or {}).get("measured", [])}
    for tried in _tried(results):
        group = "finalists" if tried["arch"] in finalists else "measured while searching"
        bounds = tried["low_ms"], tried["high_ms"]
        yield tried["predicted_ms"], tried["measured_ms"], *bounds, group + _loaded(tried)


def _finalists(results: Figures | None) -> Iterator[tuple[float, float, float, float, str]]:
    """Those that were not measured while searching."""
    before = {tried["arch"] for tried in _tried(results)}
    for entry in (results or {}).get("measured", []):
        if entry.get("network_ms") is not None and entry["arch"] not in before:
            group = ("finalists, in the fit" if entry["in_fit"] else "finalists") + _loaded(entry)
            bounds = entry["low_network_ms"], entry["high_network_ms"]
            yield entry["predicted_network_ms"], entry["network_ms"], *bounds, group


def _tried(results: Figures | None) -> list[Figures]:
    return [tried for done in (results or {}).get("refinement", []) for tried in done["networks"]]


def _loaded(entry: Figures) -> str:
    return ", loaded" if entry["loaded"] else ""


def _errors(errors: HeldOutErrors) -> tuple[object, ...]:
    shares = (errors.mape, errors.maximum, errors.within_5, errors.within_10)
    return (*(f"{share:.1%}" for share in shares), errors.spearman)
