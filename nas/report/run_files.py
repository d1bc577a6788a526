"""What lies in a run folder, read for its report. What is not there is None."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.latency import LatencyPredictor
from nas.train.metrics import METRICS, read_metrics
from nas.train.run_folder import RunFolder

Figures = Mapping[str, Any]


def read_results(run: RunFolder) -> Figures | None:
    """The content of `search/results.json`."""
    return _read_json(run.search_folder / "results.json")


def read_predictors(run: RunFolder, results: Figures | None) -> dict[str, LatencyPredictor]:
    """The predictor that the search was given, and the one that it went on with; those that can be read."""
    found = {}
    results = results or {}
    given = [Path(results["predictor"])] if results.get("predictor") else []
    refined = results.get("refined_predictor")
    places = {
        "as given": [*given, run.predictor_file],
        "refitted while searching": [run.search_folder / Path(refined).name] if refined else [],
    }
    for name, paths in places.items():
        for path in paths:
            try:
                found[name] = LatencyPredictor.load(path, allow_other_device=True)
                break
            except UserError:
                continue
    return found


def finetuned_accuracies(run: RunFolder) -> dict[str, float]:
    """AP of fine-tuned subnets, by name: of the run's summary, else of the last scores while fine-tuning."""
    found = {}
    folder = run.path / "finetune"
    for work in sorted(folder.iterdir()) if folder.is_dir() else []:
        for row in read_metrics(work / METRICS):
            scores = [v for name, v in row.items() if name.startswith("val/") and name.endswith("/AP")]
            if scores and scores[0] is not None:
                found[work.name] = float(scores[0])
    for subnet in (_read_json(run.path / "summary.json") or {}).get("subnets", []):
        if subnet.get("finetuned_ap") is not None:
            found[str(subnet["name"])] = float(subnet["finetuned_ap"])
    return found


def _read_json(path: Path) -> Figures | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
