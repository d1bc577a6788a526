"""How detectors lay out their boxes and scores: told by the shapes of their outputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Floats

Kind = Literal["apart", "rows", "end_to_end", "columns", "objectness"]

KNOWN = (
    "boxes [B, N, 4] and scores [B, N] or [B, N, classes]; [B, N, 5] with scores; [B, N, 6] with scores and "
    "classes; [B, 4 + classes, N]; [B, cells, 5 + classes]"
)

_GRIDS = ((8, 16, 32), (8, 16, 32, 64))
_ANCHORS = (1, 3)


@dataclass(frozen=True)
class OutputLayout:
    """Which output holds what.

    Args:
        kind: apart, boxes and scores are outputs of their own; rows of corners and score; end_to_end, rows of
            corners, score and class; columns of centre, size and a score for every class (YOLOv8 and later);
            rows of centre, size, objectness and a score for every class, one for every cell (YOLOv5, YOLOX).
        boxes: number of the output with boxes.
        scores: number of the output with scores, where it is another.
        labels: number of the output with classes, where there is one.
        classes: how many have a score of their own.
    """

    kind: Kind
    boxes: int
    scores: int | None = None
    labels: int | None = None
    classes: int = 1

    @classmethod
    def of(cls, outputs: Sequence[NDArray[Any]], resolution: tuple[int, int]) -> Self | None:
        """The layout of what a detector of that input (h, w) gave for one image; None where it is another."""
        floats = {n: array.shape for n, array in enumerate(outputs) if array.dtype.kind == "f"}
        tables = {n: shape for n, shape in floats.items() if len(shape) == 3}
        for boxes, shape in tables.items():
            if shape[2] != 4:
                continue
            for scores, other in floats.items():
                if scores != boxes and len(other) in (2, 3) and other[:2] == shape[:2]:
                    classes = other[2] if len(other) == 3 else 1
                    return cls("apart", boxes, scores, _labels(outputs, shape), classes)
        if len(tables) != 1:
            return None
        ((boxes, shape),) = tables.items()
        _, count, width = shape
        if width == 5:
            return cls("rows", boxes, labels=_labels(outputs, shape))
        if width >= 6 and count in _cell_counts(resolution):
            return cls("objectness", boxes, classes=width - 5)
        if width == 6:
            return cls("end_to_end", boxes)
        if 5 <= count < width:
            return cls("columns", boxes, classes=count - 4)
        return None

    def read(self, outputs: Sequence[NDArray[Any]], row: int, person: int) -> tuple[Floats, Floats]:
        """Corners [N, 4] (input px) and scores [N] of the people in one image of a batch.

        Args:
            outputs: with the batch axis.
            row: of the image.
            person: the class that is people.
        """
        table = np.asarray(outputs[self.boxes][row], np.float64)
        if self.kind == "columns":
            return _corners(table[:4].T), table[4 + person]
        if self.kind == "objectness":
            return _corners(table[:, :4]), table[:, 4] * table[:, 5 + person]
        if self.kind == "apart":
            assert self.scores is not None
            scores = np.asarray(outputs[self.scores][row], np.float64)
            scores = scores if scores.ndim == 1 else scores[:, person]
        else:
            scores = table[:, 4]
        labels = outputs[self.labels][row] if self.labels is not None else None
        if self.kind == "end_to_end":
            labels = table[:, 5]
        if labels is not None and self.classes == 1:
            scores = np.where(labels == person, scores, 0)
        return table[:, :4], scores


def _labels(outputs: Sequence[NDArray[Any]], boxes: tuple[int, ...]) -> int | None:
    for number, array in enumerate(outputs):
        if array.dtype.kind in "iu" and array.shape == boxes[:2]:
            return number
    return None


def _cell_counts(resolution: tuple[int, int]) -> set[int]:
    """How many cells the grids of detectors have at an input (h, w)."""
    height, width = resolution
    cells = (sum(-(-height // s) * -(-width // s) for s in strides) for strides in _GRIDS)
    return {anchors * count for count in cells for anchors in _ANCHORS}


def _corners(centres: Floats) -> Floats:
    """Corners [N, 4] of centres and sizes [N, 4]."""
    half = centres[:, 2:] / 2
    return np.concatenate([centres[:, :2] - half, centres[:, :2] + half], 1)
