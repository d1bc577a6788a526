"""The part of a run's report on accuracy against latency: all scored networks, the chosen, published ones."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from nas.errors import UserError
from nas.files import read_rows
from nas.graph import Tracer
from nas.latency import EndToEnd, LatencyPredictor
from nas.report.charts import Bounds, ChartAxis, ChartPoint, ChartSeries, chart, within
from nas.report.html import cell, folded, missing, table
from nas.report.peers import MEASURED, PUBLISHED
from nas.report.run_files import GIVEN, REFITTED, Figures, run_of, runs_of
from nas.report.sections import NO_SEARCH, MissingPartError
from nas.runs.folder import RunFolder
from nas.search.estimate import Estimate
from nas.search.values import Interval
from nas.space import Arch

_PUBLISHED_METRIC = "AP"
"""The metric that published networks are known by."""

_CAPTION = (
    "Point at a mark, tap it, or go from one to the next with the arrow keys; the legend hides and shows. "
    "The Pareto front: networks that no other scored one beats in both accuracy and predicted time. Bars of "
    "the chosen: the predicted 90 % interval of their time, and where 95 % of all draws of other people "
    "would put their accuracy."
)
_OF_PUBLISHED = (
    " Published networks are for orientation only: their accuracy is on COCO's validation people, other data "
    f"than this run's, their time that of another machine ({MEASURED})."
)


def accuracy_section(
    run: RunFolder, results: Figures | None, predictors: Mapping[str, LatencyPredictor]
) -> str:
    """Accuracy against latency, as a plot that tells what each mark is."""
    if results is None:
        raise MissingPartError(NO_SEARCH)
    if not results["front"]:
        raise MissingPartError("scored networks; nas search with more trials.")
    metric = str(results["metric"])
    intervals = _intervals(run, results, predictors)
    scored: list[ChartPoint] = []
    stopped: list[ChartPoint] = []
    for entry in results.get("evaluated", []):
        (stopped if "stopped_at" in entry else scored).append(_scored(entry, metric, intervals))
    measured = bool(results["measured"])
    front = sorted(results["front"], key=lambda entry: entry["predicted_ms"])
    chosen = [
        _chosen(entry, metric, measured=measured)
        for entry in results["subnets"]
        if metric in entry["inherited"]
    ]
    published = list(_published()) if metric == _PUBLISHED_METRIC else []
    series = [
        ChartSeries(f"chosen, as {'measured' if measured else 'predicted'}", "star", chosen, 3),
        ChartSeries("Pareto front", "steps", [_scored(entry, metric, intervals) for entry in front], 1),
        ChartSeries(f"scored ({len(scored)})", "dot", scored),
        ChartSeries(f"stopped early ({len(stopped)})", "ring", stopped, None),
        ChartSeries(f"published ({len(published)})", "diamond", published, 4, shown=False),
    ]
    content = chart(
        "Accuracy over milliseconds with the Pareto front",
        series,
        x=ChartAxis("ms end to end (scored: predicted)", log=True),
        y=ChartAxis(f"{metric}, inherited weights"),
        caption=_CAPTION + (_OF_PUBLISHED if published else ""),
        verticals=[(budget, f"{budget:g} ms") for budget in results["budgets_ms"]],
    )
    if not scored:
        content += missing("all scored networks; an older search kept the front only.")
    return content + (folded("Published networks", _published_table()) if published else "")


def _scored(entry: Figures, metric: str, intervals: Mapping[str, Interval]) -> ChartPoint:
    """A network as the search saw it."""
    interval = intervals.get(entry["arch"])
    bounds = None if interval is None else (interval.low_ms, interval.high_ms)
    predicted = f"{cell(entry['predicted_ms'])} ms predicted{within('90 %', bounds)}"
    lines = [entry["arch"], predicted, _accuracy(entry, metric)]
    if "stopped_at" in entry:
        lines.append(f"an estimate, stopped after {entry['stopped_at']} people")
    return ChartPoint(entry["predicted_ms"], entry["accuracy"], tip=tuple(lines))


def _chosen(entry: Figures, metric: str, *, measured: bool) -> ChartPoint:
    """A network that won a budget; older searches kept fewer of its figures."""
    times, accuracies = _bounds(entry, "low_ms", "high_ms"), _bounds(entry, "accuracy_low", "accuracy_high")
    ms = entry["measured_ms" if measured else "predicted_ms"]
    predicted = f"{cell(entry['predicted_ms'])} ms predicted{within('90 %', times)}"
    lines = [
        f"{entry['name']} ({entry['arch']})",
        f"budget {entry['budget_ms']:g} ms",
        *([f"{cell(ms)} ms measured"] if measured else []),
        predicted,
        _accuracy({**entry, "accuracy": entry["inherited"][metric]}, metric),
    ]
    return ChartPoint(ms, entry["inherited"][metric], times, accuracies, tip=tuple(lines))


def _published() -> Iterator[ChartPoint]:
    for network in PUBLISHED:
        lines = (
            f"{network.name}, {network.size}",
            f"{network.ms:g} ms, {network.people} in the picture, {network.mmacs:,} M MACs",
            f"AP {cell(network.ap)} on COCO val",
            f"Source: {network.source}",
        )
        yield ChartPoint(network.ms, network.ap, tip=lines)


def _published_table() -> str:
    rows = ((n.name, n.size, n.people, n.mmacs, f"{n.ms:g}", n.ap, n.source) for n in PUBLISHED)
    return table(("network", "input", "people", "M MACs", "ms", "COCO val AP", "AP's source"), rows)


def _accuracy(entry: Figures, metric: str) -> str:
    bounds = _bounds(entry, "accuracy_low", "accuracy_high")
    return f"{metric} {cell(float(entry['accuracy']))}{within('95 %', bounds)}"


def _bounds(entry: Figures, low: str, high: str) -> Bounds | None:
    ends = entry.get(low), entry.get(high)
    return None if ends[0] is None or ends[1] is None else (float(ends[0]), float(ends[1]))


def _intervals(
    run: RunFolder, results: Figures, predictors: Mapping[str, LatencyPredictor]
) -> dict[str, Interval]:
    """Predicted ms of what was scored, by arch id; nothing where predictor or space are gone."""
    predictor = predictors.get(REFITTED) or predictors.get(GIVEN)
    if predictor is None:
        return {}
    pays = EndToEnd(people=results.get("people", 1), detector_ms=results.get("detector_ms") or 0.0)
    found: dict[str, Interval] = {}
    for own in runs_of(run, results):
        entries = [
            entry
            for entry in (*results.get("evaluated", []), *results["front"])
            if run_of(run, entry).path == own.path
        ]
        with suppress(UserError):
            tracer = Tracer(own.config().load_space(), predictor.skeleton, anonymous=True)
            estimate = Estimate(predictor, tracer, end_to_end=pays)
            found |= {arch.id: estimate.interval(arch) for arch in _archs(own, entries)}
    return found


def _archs(run: RunFolder, entries: Sequence[Figures]) -> Iterator[Arch]:
    """What was scored in a run, by what the search keeps of it."""
    wanted = {entry["arch"]: entry.get("json") for entry in entries}
    if run.evaluations_file.is_file():
        for _, row in read_rows(run.evaluations_file, strict=False):
            if row.get("id") in wanted:
                wanted[row["id"]] = row.get("arch")
    for content in wanted.values():
        if content is not None:
            yield Arch.from_json(content)
