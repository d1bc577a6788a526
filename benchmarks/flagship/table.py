"""The comparison as a table and as a plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.flagship.figures import METRICS
from benchmarks.flagship.summary import NOT_RUN
from nas.files import write_json, write_text
from nas.report.figures import COLOURS, GREY, new_figure, save, use_log_axis

_COLUMNS = (
    "network", "input, head", "MMAC", "ms: predicted, measured", "scored to find it", "images", *METRICS,
    "core-hours", "searched is ahead by, PCK@0.2 [95 %]",
)  # fmt: skip
_WORTH_TELLING = 5.0
"""Percent of error of a prediction."""


def write_all(folder: Path, facts: Mapping[str, Any], people: Mapping[str, Any]) -> None:
    """Write `flagship.json`, `people.json`, `table.md` and `pareto.png` into a folder."""
    write_json(folder / "flagship.json", facts)
    write_json(folder / "people.json", people, indent=None)
    write_text(folder / "table.md", markdown(facts))
    draw(folder / "pareto.png", facts)


def markdown(facts: Mapping[str, Any]) -> str:
    """A table for each budget, and what to say of them in plain words."""
    lines: list[str] = []
    for budget, entries in by_budget(facts).items():
        lines += [f"**Within {budget:g} ms**", "", _line(_COLUMNS), "|---" * len(_COLUMNS) + "|"]
        lines += [_line(_cells(entry)) for entry in entries]
        lines += [""]
    hours = ", ".join(
        f"{name} {_number(value, 1) or 'not known'}" for name, value in facts["core_hours"].items()
    )
    return "\n".join([*lines, *remarks(facts), f"- Core-hours: {hours}.", ""])


def by_budget(facts: Mapping[str, Any]) -> dict[float, list[Mapping[str, Any]]]:
    """The rows of each budget, in order."""
    found: dict[float, list[Mapping[str, Any]]] = {}
    for entry in facts["rows"]:
        found.setdefault(entry["budget_ms"], []).append(entry)
    return found


def remarks(facts: Mapping[str, Any]) -> list[str]:
    """Lines on what was compared, and plainly where search does not win."""
    lines, off = [], set()
    for budget, entries in by_budget(facts).items():
        for entry in entries:
            place = f"{entry['title']} at {budget:g} ms"
            if entry["status"] == NOT_RUN:
                lines.append(f"- {place}: not run.")
            elif entry.get("verdict") not in (None, "ahead"):
                lines.append(f"- Search does not win against {place}: {entry['verdict']}.")
            error = entry["error_percent"]
            if error is not None and abs(error) > _WORTH_TELLING and entry["arch"] not in off:
                off.add(entry["arch"])  # several rows train one architecture
                lines.append(f"- {place}: predicted milliseconds are off by {error:+.1f} %.")
    return lines


def draw(path: Path, facts: Mapping[str, Any]) -> None:
    """PCK@0.2 over measured milliseconds: a mark for every training, a colour for every kind."""
    figure, (axes,) = new_figure(7.5, 5.0)
    kinds = list(dict.fromkeys(entry["kind"] for entry in facts["rows"]))
    shown: list[float] = []
    for number, kind in enumerate(kinds):
        points = _points(entry for entry in facts["rows"] if entry["kind"] == kind)
        if not points:
            continue
        shown += [ms for ms, _ in points]
        title = next(entry["title"] for entry in facts["rows"] if entry["kind"] == kind)
        axes.scatter(*zip(*points, strict=True), s=28, color=COLOURS[number % len(COLOURS)], label=title)
    for budget in by_budget(facts):
        axes.axvline(budget, color=GREY, linewidth=0.8, linestyle="--")
    ends = [*shown, *by_budget(facts)]
    use_log_axis(axes.xaxis, 0.8 * min(ends), 1.25 * max(ends))
    axes.set_xlabel("measured ms, one thread")
    axes.set_ylabel("PCK@0.2 of limb joints")
    if shown:
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    save(figure, path)


def _points(entries: Any) -> list[tuple[float, float]]:
    return [
        (entry["measured_ms"], training["metrics"]["PCK@0.2"])
        for entry in entries
        for training in entry["trainings"]
        if entry["measured_ms"] is not None and training["metrics"] is not None
    ]


def _cells(entry: Mapping[str, Any]) -> list[str]:
    if entry["input"] is None:
        return [entry["title"], NOT_RUN, *[""] * (len(_COLUMNS) - 2)]
    height, width = entry["input"]
    times = [_number(entry[name], 3) for name in ("predicted_ms", "measured_ms")]
    trainings = entry["trainings"]
    images = {training["images"] for training in trainings if training["images"] is not None}
    hours = [training["hours"] for training in trainings if training["hours"] is not None]
    length = " / ".join(f"{each:,}" for each in sorted(images))
    return [
        entry["title"],
        f"{height}x{width}, {entry['head']}",
        _number(entry["mmac"], 1),
        ", ".join(times) if any(times) else NOT_RUN,
        "" if entry["evaluations"] is None else str(entry["evaluations"]),
        length if entry["scratch"] or not length else f"inherited + {length}",
        *(_metric(entry, name) for name in METRICS),
        " + ".join(_number(each, 2) for each in hours),
        _ahead(entry),
    ]


def _metric(entry: Mapping[str, Any], name: str) -> str:
    """The mean of the seeds, and each of them where there are several."""
    if "metrics" not in entry:
        return NOT_RUN
    known = [training["metrics"][name] for training in entry["trainings"] if training["metrics"] is not None]
    mean = _number(entry["metrics"][name]["value"], 3)
    missing = "" if len(known) == len(entry["trainings"]) else f", {entry['status']} seeds"
    each = ", ".join(_number(value, 3) for value in known)
    return f"{mean} ({each}{missing})" if len(known) > 1 or missing else mean


def _ahead(entry: Mapping[str, Any]) -> str:
    if "searched_ahead" not in entry:
        return ""
    found = entry["searched_ahead"]["PCK@0.2"]
    if found["low"] is None:
        return "not known"
    return f"{found['value']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}], {entry['verdict']}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
