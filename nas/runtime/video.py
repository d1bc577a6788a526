"""Reading videos, cameras and streams frame by frame."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import cv2
import numpy as np

from nas.arrays import Pixels
from nas.errors import UserError
from nas.files import is_file
from nas.runtime.newest import Newest
from nas.runtime.stream import USUAL_RATE

VIDEO_SUFFIXES = frozenset(
    (".avi", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")
)

_FASTEST = 1000.0
"""Frames per second: what files say beyond is not meant."""

_MOST_FAILURES = 25
"""Frames in a row that cannot be read: then a file, or a camera, has ended."""


class UnreadableVideoError(UserError):
    """There is no such video, camera or stream, or nothing can read it.

    Args:
        name: what it is called.
        reason: what is the matter.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class VideoSource:
    """Where frames come from.

    Args:
        address: a file's path, a camera's number, or a stream's URL.
        kind: which of these.
    """

    address: str | int
    kind: Literal["file", "camera", "stream"]

    @property
    def name(self) -> str:
        """How it is called in messages: without the passwords that a URL may hold, before @ or after ?."""
        if self.kind == "stream":
            return re.sub(r"(?<=://)[^/?#]*@|[?#].*", "", str(self.address))
        return f"camera {self.address}" if self.kind == "camera" else str(self.address)

    @property
    def live(self) -> bool:
        """Whether frames come when they are taken."""
        return self.kind != "file"


@dataclass(frozen=True)
class VideoFrame:
    """A frame of a video.

    Args:
        pixels: [H, W, 3] BGR.
        number: from 0, broken frames counted.
        seconds: since the first one.
    """

    pixels: Pixels
    number: int
    seconds: float


class VideoReader:
    """The frames of a source, one after the other.

    A frame that cannot be decoded is left out and counted. Files give all others; cameras and streams the
    newest whenever one is asked for, so that what is seen never lags behind.

    Args:
        source: where from.
        capture: an open `cv2.VideoCapture`, or what behaves as one.
    """

    def __init__(self, source: VideoSource, capture: Any) -> None:
        self.source = source
        self._capture = capture
        self.broken = 0
        """Frames that could not be read so far."""
        self.read = 0
        """Frames that could."""
        self._newest: Newest[VideoFrame] | None = None

    @classmethod
    def open(cls, source: VideoSource) -> Self:
        """The reader of a source. Raises UnreadableVideoError."""
        address = source.address
        if isinstance(address, str) and source.kind == "file":
            if not is_file(Path(address)):
                raise UnreadableVideoError(source.name, "there is no such video file")
            # A name such as `concat:a.mp4` would be taken for a protocol.
            address = str(Path(address).absolute())
        # What is the matter is said once, by the error.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        try:
            capture = cv2.VideoCapture(address)
            opened = capture.isOpened()
        except (cv2.error, UnicodeError, OverflowError):
            opened = False
        if not opened:
            what = "it cannot be decoded" if source.kind == "file" else "it cannot be reached, or is in use"
            raise UnreadableVideoError(source.name, what)
        return cls(source, capture)

    @property
    def rate(self) -> float:
        """Frames per second; 30 where nobody says."""
        stated = float(self._capture.get(cv2.CAP_PROP_FPS))
        return stated if isfinite(stated) and 0 < stated <= _FASTEST else USUAL_RATE

    @property
    def total(self) -> int | None:
        """How many frames a file says that it has; None where it does not, or nobody can know."""
        if self.source.live:
            return None
        stated = float(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        return int(stated) if isfinite(stated) and 0 < stated < 1e9 else None

    @property
    def passed_over(self) -> int:
        """Frames that came faster than they were asked for."""
        return 0 if self._newest is None else self._newest.passed_over

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames, until there are no more."""
        if not self.source.live:
            return self._frames()
        self._newest = Newest(self._frames())
        return iter(self._newest)

    def close(self) -> None:
        """Give the file or camera back."""
        # What is being read must not be closed: a stream that hangs is left to the end of the process.
        if self._newest is None or self._newest.close():
            self._capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frames(self) -> Iterator[VideoFrame]:
        """All frames that can be read."""
        start, rate, failures = 0.0, self.rate, 0
        while failures <= _MOST_FAILURES:
            pixels = self._next()
            if pixels is None:
                failures += 1
                if not self.source.live and self._ended(failures):
                    break
                continue
            # Only what is followed by another frame was a frame.
            self.broken += failures
            failures = 0
            number, now = self.read + self.broken, time.monotonic()
            start = start if self.read else now
            self.read += 1
            yield VideoFrame(pixels, number, now - start if self.source.live else number / rate)
        self._count_missing()

    def _next(self) -> Pixels | None:
        """The next frame; None where there is none, or it is broken."""
        try:
            read, pixels = self._capture.read()
        except cv2.error:
            return None
        if not read or pixels is None or not pixels.size:
            return None
        if pixels.ndim == 2:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
        return np.asarray(pixels, np.uint8)

    def _ended(self, failures: int) -> bool:
        """Whether a file has no frame left, as far as it says."""
        return self.total is None or self.read + self.broken + failures > self.total

    def _count_missing(self) -> None:
        """Frames that a file promises and lacks are broken; a few may be a format's rough estimate."""
        if self.total is not None:
            missing = self.total - self.read - self.broken
            if missing > max(2, 0.01 * self.total):
                self.broken += missing
