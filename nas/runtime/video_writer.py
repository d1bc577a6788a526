"""Writing videos: a file that is whole whenever it ends."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from nas.arrays import Pixels
from nas.errors import UserError
from nas.files import draft_of, flush, writing
from nas.interrupt import finishing


class VideoWriter:
    """An mp4 file of the frames that are added.

    It takes its place, over a former one, when it is closed, with what was added until then; without a frame
    there is no file.

    Args:
        path: the file.
        rate: frames per second.
    """

    def __init__(self, path: Path, *, rate: float) -> None:
        self.path = path
        self.rate = rate
        self._draft = draft_of(path, ".mp4")
        self._writer: Any = None
        self._size = (0, 0)
        self._written = 0

    def add(self, pixels: Pixels, seconds: float) -> None:
        """Append a frame, for as long as it is seen: the video runs as fast as what it shows.

        Args:
            pixels: [H, W, 3] BGR; of another size than the first frame's they are fitted into it.
            seconds: since the first frame.

        Raises:
            UserError: the file cannot be written.
        """
        height, width = pixels.shape[:2]
        if self._writer is None:
            self._size = width, height
            self._writer = self._begin()
        if (width, height) != self._size:
            pixels = np.asarray(cv2.resize(pixels, self._size), np.uint8)
        for _ in range(round(seconds * self.rate) + 1 - self._written):
            self._writer.write(pixels)
            self._written += 1

    def _begin(self) -> Any:
        """OpenCV's writer of the draft. Raises UserError for what would else be known at the end only."""
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # a name that is too long is told here
                if stat.S_ISDIR(self.path.stat().st_mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        code = cv2.VideoWriter.fourcc(*"mp4v")
        # Absolute, since a name such as `concat:a.mp4` would be taken for a protocol.
        writer = cv2.VideoWriter(str(self._draft.absolute()), code, self.rate, self._size)
        if not writer.isOpened():
            self._draft.unlink(missing_ok=True)
            raise UserError(f"{self.path}: the video cannot be written there as mp4")
        return writer

    def close(self) -> None:
        """Put the file in its place. Raises UserError where the disk refused it."""
        if self._writer is not None:
            with finishing():
                self._writer.release()
                self._writer = None
                self._put_in_place()

    def _put_in_place(self) -> None:
        try:
            with writing(self.path):
                flush(self._draft)
                if not _is_whole(self._draft):
                    # OpenCV is silent, but what the disk did not take to its end lacks its index.
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self._draft.replace(self.path)
        finally:
            with suppress(OSError):
                self._draft.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_whole(path: Path) -> bool:
    """Whether there is a video in a file."""
    capture = cv2.VideoCapture(str(path.absolute()))
    try:
        return bool(capture.isOpened() and capture.grab())
    finally:
        capture.release()
