"""All that is known of the comparison, as plain data: what has not been run says so."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.flagship.figures import (
    METRICS,
    bounds,
    drawn_weights,
    limb_counts,
    metrics_of,
    verdict,
)
from benchmarks.flagship.rows import KINDS, SEARCHED, Comparison, Row
from benchmarks.flagship.scoring import validation_set
from benchmarks.flagship.workplace import Workplace
from nas.arrays import Floats
from nas.data import Annotations
from nas.documents import read_json
from nas.files import is_file
from nas.runs import RunFolder, read_metrics
from nas.runs.metrics import METRICS as METRICS_FILE
from nas.runtime.results import Detection, read_results

NOT_RUN = "not run"


def hours_of(folder: Path, *, cores: int = 1) -> float | None:
    """Core-hours that a training has taken so far, by its own record; None where it has not begun."""
    told = [line["hours"] for line in read_metrics(folder / METRICS_FILE) if line.get("hours") is not None]
    return cores * float(told[-1] or 0) if told else None


def summarise(place: Workplace, comparison: Comparison) -> tuple[dict[str, Any], dict[str, Any]]:
    """The figures of every row, and what was right of every person, for others to compare by.

    Returns:
        What tables and plots are made of; by the name of a training, right limb joints of each image.
    """
    annotations = validation_set(place.run)
    poses = _poses(place, comparison)
    weights = drawn_weights(len(annotations.images))
    drawn = {row: metrics_of(found, annotations, weights) for row, found in poses.items()}
    timings = read_json(place.timings_file) if is_file(place.timings_file) else {"networks": {}}
    entries = [
        _entry(place, comparison, kind, budget, drawn, timings["networks"])
        for budget in comparison.budgets_ms
        for kind in KINDS
        if any((row.kind, row.budget_ms) == (kind, budget) for row in comparison.rows)
    ]
    facts = {
        "date": str(date.today()),
        "run": place.run.path.name,
        "set": annotations.path.name,
        "people": int(annotations.people.labelled.sum()),
        "timed": {name: value for name, value in timings.items() if name != "networks"},
        "core_hours": _core_hours(place, entries),
        "rows": entries,
    }
    return facts, _people(poses, annotations)


def _poses(place: Workplace, comparison: Comparison) -> dict[Row, list[Detection]]:
    """What every trained network found; those that have not looked yet are left out."""
    files = {row: place.poses_file(row) for row in comparison.rows}
    return {row: read_results(file) for row, file in files.items() if file is not None and is_file(file)}


def _entry(
    place: Workplace,
    comparison: Comparison,
    kind: str,
    budget: float,
    drawn: Mapping[Row, Mapping[str, Floats]],
    timed: Mapping[str, Any],
) -> dict[str, Any]:
    """A row of the table: one kind at one budget, all its seeds."""
    pick, wanted = KINDS[kind].pick, _rows(comparison, kind, budget)
    arch, found = place.picked(pick, budget), place.found(pick, budget)
    entry: dict[str, Any] = {
        "kind": kind,
        "title": KINDS[kind].title,
        "budget_ms": budget,
        "arch": None if arch is None else arch.id,
        "input": None if arch is None else list(arch.resolution),
        "head": None if arch is None else f"{arch.head.type} on {arch.neck.type}",
        "evaluations": found.get("evaluations"),
        "scratch": KINDS[kind].scratch,
        "trainings": [_training(place, row, drawn.get(row)) for row in wanted],
        **_times(timed.get(place.pick_file(pick, budget).stem, {}), None if arch is None else arch.id),
    }
    mine, searched = (
        [drawn[row] for row in _rows(comparison, each, budget) if row in drawn] for each in (kind, SEARCHED)
    )
    if mine:
        entry["metrics"] = {name: bounds([each[name] for each in mine]).to_json() for name in METRICS}
    if mine and searched and kind != SEARCHED:
        entry["searched_ahead"] = {
            name: bounds([each[name] for each in searched], less=[each[name] for each in mine]).to_json()
            for name in METRICS
        }
        entry["verdict"] = verdict(entry["searched_ahead"]["PCK@0.2"])
    entry["status"] = f"{len(mine)} of {len(wanted)}" if mine else NOT_RUN
    return entry


def _rows(comparison: Comparison, kind: str, budget: float) -> list[Row]:
    return [row for row in comparison.rows if (row.kind, row.budget_ms) == (kind, budget)]


def _training(place: Workplace, row: Row, drawn: Mapping[str, Floats] | None) -> dict[str, Any]:
    """One training: its length, what it took, what it came to."""
    record = place.training(row) or {}
    return {
        "name": row.name,
        "seed": row.seed,
        "images": record.get("recipe", {}).get("images"),
        "hours": hours_of(place.home(row).work_folder(row.name), cores=_cores(place)),
        "metrics": None if drawn is None else {name: float(values[0]) for name, values in drawn.items()},
    }


def _times(timing: Mapping[str, Any], arch: str | None) -> dict[str, Any]:
    """Milliseconds, of this very architecture."""
    names = ("mmac", "params", "predicted_ms", "measured_ms")
    if timing.get("arch") != arch or arch is None:
        return dict.fromkeys((*names, "error_percent"))
    error = 100 * (timing["predicted_ms"] / timing["measured_ms"] - 1)
    return {**{name: timing[name] for name in names}, "error_percent": error}


def _core_hours(place: Workplace, entries: list[dict[str, Any]]) -> dict[str, float | None]:
    """What the parts have taken; trainings load their pictures themselves."""
    known = [training["hours"] for entry in entries for training in entry["trainings"] if training["hours"]]
    alone = [
        hours_of(folder, cores=_cores(place))
        for seed in sorted(place.run.diagnosis_folder.glob("seed-*"))
        for folder in sorted(RunFolder(seed).trainings_folder.glob("*"))
    ]
    return {
        "supernet": hours_of(place.run.path, cores=_cores(place)),
        "trainings": sum(known),
        "diagnosis": sum(hours for hours in alone if hours),
    }


def _cores(place: Workplace) -> int:
    """That a training of the run keeps busy."""
    config = place.run.config()
    return config.processes * (config.threads or 1)


def _people(poses: Mapping[Row, list[Detection]], annotations: Annotations) -> dict[str, Any]:
    content: dict[str, Any] = {"images": [image.id for image in annotations.images]}
    for row, found in poses.items():
        right, counted = limb_counts(found, annotations)
        content["counted"] = counted.tolist()
        content[row.name] = {f"PCK@{threshold:g}": each.tolist() for threshold, each in right.items()}
    return content
