"""What a training measured, as JSON lines."""

import json
from pathlib import Path

from nas.files import read_rows, write_text

METRICS = "metrics.jsonl"

PLACE_OF_RANDOM = "place_of_random/"
"""Before a head's name: where random networks' label loss lies, 0 as the smallest's, 1 as the largest's."""

Value = float | int


def read_metrics(path: Path) -> list[dict[str, Value | None]]:
    """All whole lines of a metrics file; empty where there is none."""
    if not path.is_file():
        return []
    return [row for _, row in read_rows(path, strict=False) if "step" in row]


def truncate(path: Path, *, step: int) -> None:
    """Keep only the whole lines up to `step`, replacing the file at once."""
    if not path.is_file():
        return
    kept = [line for line in read_metrics(path) if isinstance(line["step"], int) and line["step"] <= step]
    write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
