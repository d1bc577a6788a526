"""A window that shows frames, where a display exists."""

import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

import cv2

from nas.arrays import Pixels
from nas.errors import UserError

_ENOUGH = (ord("q"), 27)
"""Keys that end it: q, and Escape."""


def require_display() -> None:
    """Raise UserError where there is no display: OpenCV's windows may end the process there."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in displays):
        raise UserError("`show` needs a display, and there is none here: leave it out")


class PoseWindow:
    """Shows one frame after the other.

    Raises UserError where there is no display, or OpenCV was built without windows.
    """

    def __init__(self, title: str) -> None:
        require_display()
        self._title = title
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error:
            raise UserError(
                "`show`: this OpenCV has no windows (opencv-python-headless); install opencv-python instead"
            ) from None

    def show(self, pixels: Pixels) -> bool:
        """Show a frame [H, W, 3] BGR; whether the user wants to see more, and has not closed the window."""
        cv2.imshow(self._title, pixels)
        wanted = cv2.waitKey(1) & 0xFF not in _ENOUGH
        return wanted and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(cv2.error):  # the user closed it
            cv2.destroyWindow(self._title)
