"""What a run measured, as JSON lines and for TensorBoard."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

Value = float | int

METRICS = "metrics.jsonl"


class MetricsWriter:
    """Appends to `metrics.jsonl` and to TensorBoard's `events` in a folder.

    Lines beyond `step`, the last finished step, come from a process that was killed after it; they are
    dropped, because the resumed run writes them again.

    Args:
        folder: of the run.
        step: number of finished steps.
        enabled: False for the processes that write nothing.
    """

    def __init__(self, folder: Path, *, step: int, enabled: bool = True) -> None:
        self._path = folder / METRICS
        self._board: SummaryWriter | None = None
        if enabled:
            truncate(self._path, step=step)
            self._board = SummaryWriter(str(folder / "events"), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, Value]) -> None:
        """Append one line: the number of finished steps and the values; non-finite ones become null."""
        if self._board is None:
            return
        line = {"step": step} | {key: _plain(value) for key, value in values.items()}
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        for key, value in values.items():
            self._board.add_scalar(key, value, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._board is not None:
            self._board.close()


def read_metrics(path: Path) -> list[dict[str, Value | None]]:
    """All whole lines of a metrics file; empty where there is none."""
    if not path.is_file():
        return []
    return [line for text in path.read_text().splitlines() if (line := _parse(text)) is not None]


def truncate(path: Path, *, step: int) -> None:
    """Keep only the whole lines up to `step`, replacing the file at once."""
    if not path.is_file():
        return
    kept = [line for line in read_metrics(path) if isinstance(line["step"], int) and line["step"] <= step]
    draft = path.with_suffix(".draft")
    draft.write_text("".join(json.dumps(line) + "\n" for line in kept))
    draft.replace(path)


def _parse(text: str) -> dict[str, Value | None] | None:
    """One line, or None for the torn last line of a killed process."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "step" in line else None


def _plain(value: Value) -> Value | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
