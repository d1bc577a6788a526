"""What was found, in files for other programs: a line of JSON for every image, and COCO's results."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np

from nas.errors import UserError
from nas.files import require_writable, writing
from nas.interrupt import finishing
from nas.runtime.prediction import Prediction
from nas.runtime.results import Detection, coco_results, write_results


def numbered_images(names: Sequence[Path]) -> Mapping[str, int]:
    """The ids of images that are called by numbers, as COCO's are; none where one of them is not."""
    numbers = [int(name.stem) if name.stem.isdecimal() else 0 for name in names]
    if 0 in numbers or len(set(numbers)) < len(numbers):
        return {}
    return {str(name): number for name, number in zip(names, numbers, strict=True)}


class Records:
    """Files that are written along.

    Images have the ids that are given, and else count from 1 in the order in which they come.

    Args:
        lines: takes a line of JSON for every image at once.
        results: takes COCO keypoint results at the end, whatever ended the work.
        ids: of images, by what predictions call them.

    Raises:
        UserError: a file exists, cannot be written, or is named for both.
    """

    def __init__(
        self, *, lines: Path | None = None, results: Path | None = None, ids: Mapping[str, int] | None = None
    ) -> None:
        for path in (lines, results):
            if path is not None and path.exists():
                raise UserError(f"{path}: exists already; name another file, or remove it")
            if path is not None:
                require_writable(path.absolute().parent)
        if lines is not None and results is not None and lines.resolve() == results.resolve():
            raise UserError(f"`json_lines`, `coco_results`: both are {lines}; name two files")
        self._ids = ids or {}
        self._count = 0
        self._results = results
        self._detections: list[Detection] = []
        self._lines: TextIO | None = None
        self._path = lines
        if lines is not None:
            with writing(lines):
                self._lines = lines.open("x", encoding="utf-8")

    def add(self, prediction: Prediction) -> None:
        """Write down what was found in an image. Raises UserError where the disk is full."""
        self._count += 1
        image = self._ids.get(prediction.source, self._count)
        if self._lines is not None and self._path is not None:
            row = json.dumps(frame_row(prediction, image), separators=(",", ":"))
            with writing(self._path):
                self._lines.write(row + "\n")
                self._lines.flush()
        if self._results is not None:
            self._detections += coco_results(prediction.people.poses, np.eye(2, 3), image_id=image)

    def close(self) -> None:
        """Put everything in its place. Raises UserError where the disk is full."""
        with finishing():
            try:
                if self._lines is not None and self._path is not None:
                    with writing(self._path):
                        self._lines.close()
            finally:
                if self._results is not None:
                    write_results(self._results, self._detections)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def frame_row(prediction: Prediction, image_id: int) -> dict[str, Any]:
    """What a line says of an image, coordinates to 0.01 px; of videos when, of tracked people who."""
    people = prediction.people
    where = {} if prediction.frame is None else {"frame": prediction.frame, "seconds": prediction.seconds}
    return {
        "source": prediction.source,
        "image_id": image_id,
        **where,
        "detected": people.detected,
        "people": [
            {
                **({"id": number} if number else {}),
                "score": round(float(score), 4),
                "box": _rounded(box),
                "keypoints": [[*_rounded(point[:2]), round(float(point[2]), 4)] for point in keypoints],
            }
            for number, score, box, keypoints in zip(
                people.ids.tolist(), people.poses.scores, people.boxes, people.poses.keypoints, strict=True
            )
        ],
        "ms": {stage: round(taken, 3) for stage, taken in prediction.ms.items()},
    }


def _rounded(numbers: Any) -> list[float | None]:
    """To hundredths; what is no number, which JSON cannot say, is None."""
    return [round(number, 2) if isfinite(number) else None for number in map(float, numbers)]
