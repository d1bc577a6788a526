"""Writing what a training measures, as JSON lines and for TensorBoard."""

import math
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from nas.errors import UserError
from nas.files import append_row, writing
from nas.runs.metrics import METRICS, Value, truncate

_KEPT = "what was written before is whole"


class MetricsWriter:
    """Appends to `metrics.jsonl` and to TensorBoard's `events` in a folder.

    Lines beyond `step`, the last finished step, come from a process that was killed after it; they are
    dropped, because the resumed training writes them again.

    Args:
        folder: of the run.
        step: number of finished steps.
        enabled: False for the processes that write nothing.
    """

    def __init__(self, folder: Path, *, step: int, enabled: bool = True) -> None:
        self._path = folder / METRICS
        self._board: SummaryWriter | None = None
        if enabled:
            with writing(folder, kept=_KEPT):
                truncate(self._path, step=step)
                self._board = SummaryWriter(str(folder / "events"), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, Value]) -> None:
        """Append one line: the number of finished steps and the values; non-finite ones become null.

        Raises:
            UserError: the disk is full, or refuses; no part of the line stays.
        """
        if self._board is None:
            return
        line = {"step": step} | {key: _plain(value) for key, value in values.items()}
        with writing(self._path, kept=_KEPT):
            append_row(self._path, line, kept=_KEPT)
            for key, value in values.items():
                self._board.add_scalar(key, value, step)

    def __enter__(self) -> Self:
        self._former_hook = threading.excepthook
        if self._board is not None:
            threading.excepthook = self._quiet
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._board is not None:
                with writing(self._path.with_name("events"), kept=_KEPT):
                    self._board.close()
        except UserError:
            # What ended the run, most likely for the same reason, is what is told.
            if error is None:
                raise
        finally:
            threading.excepthook = self._former_hook

    def _quiet(self, arguments: threading.ExceptHookArgs) -> None:
        """TensorBoard's thread prints a traceback where the disk is full; it raises the error here too."""
        if not issubclass(arguments.exc_type, OSError):
            self._former_hook(arguments)


def _plain(value: Value) -> Value | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
