"""The parts of a run's report, each as HTML."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nas.errors import UserError
from nas.latency import LatencyPredictor
from nas.latency.validation import HeldOutErrors
from nas.report.charts import BAND, Bounds, ChartAxis, ChartPoint, ChartSeries, chart, within
from nas.report.html import cell, facts, missing, paragraph, table
from nas.report.run_files import GIVEN, Figures, run_of
from nas.runs.folder import RunFolder
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
        (f"Searched in {run_of(run, each).path}", f"{each['space']}: {each['scored']:,} networks scored")
        for each in results.get("runs", [])
    ]
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
    errors = [abs(point.y / point.x - 1) for _, point in points]
    groups = dict.fromkeys(group for group, _ in points)
    # Held out networks are many; the few others lie on top.
    series = [
        ChartSeries(
            f"{name} ({sum(group == name for group, _ in points)})",
            "star" if "finalist" in name else "ring" if "loaded" in name else "dot",
            [point for group, point in points if group == name],
            number,
        )
        for number, name in reversed(list(enumerate(groups)))
    ]
    content = chart(
        "Predicted over measured milliseconds",
        series,
        x=ChartAxis("measured ms", log=True),
        y=ChartAxis("predicted ms", log=True),
        band=BAND,
        caption=f"One run of the network, decode included. {len(points)} networks: mean error "
        f"{np.mean(errors):.1%}, {np.mean(np.array(errors) <= BAND):.0%} within the band of {BAND:.0%}. Held "
        "out: networks of the predictor's own table, each predicted by fits that did not see it. Networks "
        "measured while searching: as predicted before. Bars: the predicted 90 % interval.",
    )
    if results is None:
        return content + missing(NO_SEARCH)
    if results["measured"]:
        columns = ("finalist", "predicted ms", "90 % interval", "measured ms", "error", "inside", "")
        rows = [(entry["arch"], *compared(entry), finalist_remarks(entry)) for entry in results["measured"]]
        content += table(columns, rows)
        for line in drift_remarks(results["measured"]):
            content += paragraph(line, note=True)
    else:
        content += missing("measured finalists: the predictor is of another device.")
    return content + _refinement(results)


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


def _held_out(predictors: Mapping[str, LatencyPredictor]) -> Iterator[tuple[str, ChartPoint]]:
    """Of the predictor as given: the refitted one has seen what was measured while searching."""
    predictor = predictors.get(GIVEN)
    if predictor is not None:
        validation = predictor.validation
        for predicted, measured in zip(validation.predicted, validation.measured, strict=True):
            yield _compared_point("held out of the fit", predicted, measured)


def _refined(results: Figures | None) -> Iterator[tuple[str, ChartPoint]]:
    """As predicted before they were measured; those that became finalists are called so."""
    finalists = {entry["arch"] for entry in (results or {}).get("measured", [])}
    for tried in _tried(results):
        group = "finalists" if tried["arch"] in finalists else "measured while searching"
        bounds = tried["low_ms"], tried["high_ms"]
        yield _compared_point(
            group + _loaded(tried), tried["predicted_ms"], tried["measured_ms"], tried["arch"], bounds
        )


def _finalists(results: Figures | None) -> Iterator[tuple[str, ChartPoint]]:
    """Those that were not measured while searching."""
    before = {tried["arch"] for tried in _tried(results)}
    for entry in (results or {}).get("measured", []):
        if entry.get("network_ms") is not None and entry["arch"] not in before:
            group = ("finalists, in the fit" if entry["in_fit"] else "finalists") + _loaded(entry)
            bounds = entry["low_network_ms"], entry["high_network_ms"]
            predicted = entry["predicted_network_ms"]
            yield _compared_point(group, predicted, entry["network_ms"], entry["arch"], bounds)


def _compared_point(
    group: str, predicted: float, measured: float, arch: str | None = None, bounds: Bounds | None = None
) -> tuple[str, ChartPoint]:
    """A network that was both predicted and measured, and what it is one of."""
    tip = (
        arch or group,
        f"{cell(predicted)} ms predicted{within('90 %', bounds)}",
        f"{cell(measured)} ms measured, error {predicted / measured - 1:+.1%}",
        *((group,) if arch else ()),
    )
    return group, ChartPoint(measured, predicted, y_bounds=bounds, tip=tip)


def _tried(results: Figures | None) -> list[Figures]:
    return [tried for done in (results or {}).get("refinement", []) for tried in done["networks"]]


def _loaded(entry: Figures) -> str:
    return ", loaded" if entry["loaded"] else ""


def _errors(errors: HeldOutErrors) -> tuple[object, ...]:
    shares = (errors.mape, errors.maximum, errors.within_5, errors.within_10)
    return (*(f"{share:.1%}" for share in shares), errors.spearman)
