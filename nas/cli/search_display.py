"""What `nas search` prints: what was found, and how predicted and measured times compare."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.cli.console import print_json, print_table, remark, say

if TYPE_CHECKING:
    from nas.search.results import SearchResult
    from nas.search.shared import LeftToOthers

_LIMITS = {"p95_ms": "95 % of runs, ms", "memory_mb": "memory, MB", "file_mb": "file, MB"}


def print_left(left: "LeftToOthers", *, as_json: bool) -> None:
    """Say who finishes a search that this process only scored for."""
    if as_json:
        by = None if left.by is None else {"host": left.by.host, "pid": left.by.pid}
        print_json({"scored": left.scored, "finals": {"by": by, "run": left.folder, "done": left.done}})
        return
    say(f"{left.scored} networks are scored, by all workers together.")
    if left.by is None:
        say(
            "Nothing is measured by this worker: one that measures, on the predictor's device, or this "
            "command without --worker finishes the search."
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
            _remarks(figures),
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
        if subnet.trained:
            scores = ", ".join(
                f"{item.arch.head.type} {item.arch.id[:6]} {item.accuracy:.3f}" for item in subnet.trained
            )
            images = result.facts["train_finalists"]
            say(f"{subnet.name}: the best of what was trained on for {images:,} images: {scores}.")
    if result.facts.get("limits"):
        _print_limits(result)
    _print_unmet(result)
    if result.subnets and result.subnets[0].measured is None:
        remark("Nothing was measured: milliseconds are as predicted.")


def _print_limits(result: "SearchResult") -> None:
    limits = result.facts["limits"]
    print_table(
        "Limits, measured",
        ("subnet", *(f"{_LIMITS[name]} (at most {limit:g})" for name, limit in limits.items())),
        ((subnet.name, *(_limited(subnet.figures(), name) for name in limits)) for subnet in result.subnets),
    )
    for name in sorted(limits):
        if any(subnet.measured and _limited(subnet.figures(), name) is None for subnet in result.subnets):
            remark(
                f"{_LIMITS[name]}: this system does not tell it, so that limit was held by prediction alone."
            )


def _print_unmet(result: "SearchResult") -> None:
    """The budgets that nothing keeps, and what to do."""
    also = " and the limits" if result.facts.get("limits") else ""
    for budget in result.unmet_ms:
        if not result.measured and result.facts.get("measured_on") is None:
            remark(
                f"{budget:g} ms: none of the networks that were scored is predicted within it{also}; score "
                "some for it (--trials), or raise the budget."
            )
            continue
        remark(
            f"{budget:g} ms: no network was measured within it{also}, though predicted to be; score more "
            "networks (--trials), measure more for the predictor, or raise the budget."
        )


def _remarks(figures: Mapping[str, Any]) -> str:
    """What to know of a subnet, whose run is named where several were searched."""
    remarks = [f"of {figures['run']}"] if figures.get("run", ".") != "." else []
    return ", ".join([*remarks, *(["timed under load"] if figures["loaded"] else [])])


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


def print_place(result: "SearchResult", run: Path) -> None:
    """Say where everything is, and what comes next."""
    from nas.runs import RunFolder

    assert result.place is not None
    home = RunFolder(run)
    for each in result.facts.get("runs", ()):
        say(f"{each['scored']} networks of {each['space']} are scored in {home.at(each['run']).path}")
    say(f"\nSubnets: {result.place.subnets}/*.json   everything: {result.place.file}")
    for subnet in result.subnets[:1]:
        own = run if subnet.run is None else home.at(subnet.run).path
        say(f"Next: nas finetune {own} {result.place.subnets / subnet.name}.json --name {subnet.name}")
