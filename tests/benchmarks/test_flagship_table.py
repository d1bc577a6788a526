"""The comparison as a table: what was not run says so, and where search does not win is said plainly."""

from pathlib import Path
from typing import Any

import cv2

from benchmarks.flagship.table import draw, markdown, write_all


def training(seed: int, value: float | None, *, images: int | None = 1000) -> dict[str, Any]:
    metrics = None if value is None else {"PCK@0.2": value, "PCK@0.1": value / 2, "AP": value / 4}
    hours = None if value is None else 0.5
    return {"name": f"{seed}", "seed": seed, "images": images, "hours": hours, "metrics": metrics}


def entry(
    kind: str, *trainings: dict[str, Any], ahead: tuple[float, ...] = (), said: str = ""
) -> dict[str, Any]:
    known = [each["metrics"]["PCK@0.2"] for each in trainings if each["metrics"] is not None]
    found: dict[str, Any] = {
        "kind": kind,
        "title": kind,
        "budget_ms": 0.5,
        "arch": "abc",
        "input": [128, 96],
        "head": "simcc on none",
        "mmac": 30.04,
        "params": 10,
        "predicted_ms": 0.48,
        "measured_ms": 0.5,
        "error_percent": -4.0,
        "evaluations": 300,
        "scratch": kind == "scratch",
        "trainings": list(trainings),
        "status": f"{len(known)} of {len(trainings)}" if known else "not run",
    }
    if known:
        mean = sum(known) / len(known)
        values = {"PCK@0.2": mean, "PCK@0.1": mean / 2, "AP": mean / 4}
        found["metrics"] = {
            name: {"value": value, "low": value - 0.01, "high": value + 0.01}
            for name, value in values.items()
        }
    if ahead:
        found["searched_ahead"] = {"PCK@0.2": dict(zip(("value", "low", "high"), ahead, strict=True))}
        found["verdict"] = said
    return found


def facts(*entries: dict[str, Any]) -> dict[str, Any]:
    hours = {"supernet": 5.9, "trainings": 2.0, "diagnosis": None}
    return {"rows": list(entries), "core_hours": hours, "timed": {}}


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line
    ]
    return {cells[0]: cells for cells in lines}


def test_a_table_tells_means_seeds_and_how_far_search_is_ahead() -> None:
    scaled = entry("scaled", training(0, 0.4), training(1, 0.41), ahead=(0.015, 0.004, 0.027), said="ahead")
    scratch = entry(
        "scratch", training(0, 0.42), ahead=(0.0, -0.01, 0.01), said="no difference that can be told"
    )
    text = markdown(facts(entry("searched", training(0, 0.42), training(1, None)), scaled, scratch))
    rows = rows_of(text)
    assert "**Within 0.5 ms**" in text
    assert {len(cells) for cells in rows.values()} == {len(rows["network"])}
    assert rows["searched"][6] == "0.420 (0.420, 1 of 2 seeds)"
    assert rows["searched"][-1] == ""
    assert rows["scaled"][1:4] == ["128x96, simcc on none", "30.0", "0.480, 0.500"]
    assert rows["scaled"][4:7] == ["300", "inherited + 1,000", "0.405 (0.400, 0.410)"]
    assert rows["scaled"][-2:] == ["0.50 + 0.50", "+0.015 [+0.004, +0.027], ahead"]
    assert rows["scratch"][5:7] == ["1,000", "0.420"]
    assert "- Search does not win against scratch at 0.5 ms: no difference that can be told." in text
    assert "scaled at" not in text
    assert "- Core-hours: supernet 5.9, trainings 2.0, diagnosis not known." in text


def test_what_was_not_run_says_so(tmp_path: Path) -> None:
    picked = entry("macs", training(0, None, images=None))
    nothing = {
        **picked,
        "kind": "random",
        "title": "random",
        **dict.fromkeys(("arch", "input", "head", "mmac", "predicted_ms", "measured_ms", "error_percent")),
    }
    text = markdown(facts(picked, nothing))
    rows = rows_of(text)
    assert rows["random"][1] == "not run"
    assert rows["macs"][5:9] == ["", "not run", "not run", "not run"]
    assert "- macs at 0.5 ms: not run." in text
    assert "- random at 0.5 ms: not run." in text
    write_all(tmp_path / "out", facts(picked, nothing), {"images": []})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "flagship.json",
        "pareto.png",
        "people.json",
        "table.md",
    ]


def test_a_prediction_that_is_far_off_is_named() -> None:
    far = {**entry("scaled", training(0, 0.4)), "error_percent": -7.25}
    text = markdown(facts(far, {**far, "kind": "scratch", "title": "scratch"}))
    assert text.count("predicted milliseconds are off") == 1  # of one architecture
    assert "- scaled at 0.5 ms: predicted milliseconds are off by -7.2 %." in text


def test_a_plot_has_a_colour_for_every_kind(tmp_path: Path) -> None:
    searched, scaled = (entry(kind, training(0, 0.4), training(1, 0.41)) for kind in ("searched", "scaled"))
    draw(tmp_path / "one.png", facts(searched))
    draw(tmp_path / "two.png", facts(searched, {**scaled, "measured_ms": 0.3}))
    one, two = (cv2.imread(str(tmp_path / name)) for name in ("one.png", "two.png"))
    red = (0x2B, 0x18, 0xB2)  # the second colour, as OpenCV has it
    assert (one == red).all(-1).sum() == 0
    assert (two == red).all(-1).sum() > 50
