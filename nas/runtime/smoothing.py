"""Smoothing of keypoints over time: steady at rest, quick in motion."""

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

_LEAST_SECONDS = 1e-3


@dataclass(frozen=True)
class OneEuroSettings:
    """What a filter does.

    Args:
        rest_hz: the cutoff at rest: lower is steadier.
        speed_hz: what a speed of one person's size per second adds to it: higher is quicker.
        change_hz: the cutoff of the speed itself.
    """

    rest_hz: float = 0.8
    speed_hz: float = 6.0
    change_hz: float = 1.0


class OneEuroFilter:
    """The One Euro filter (Casiez, Roussel, Vogel, CHI 2012) of all coordinates of a person.

    Speeds count in sizes of the person, so that near and far people are smoothed alike.

    Args:
        settings: of the filter.
    """

    def __init__(self, settings: OneEuroSettings | None = None) -> None:
        self._settings = settings or OneEuroSettings()
        self._raw: NDArray[np.float64] | None = None
        self._value = self._speed = np.zeros(0)

    def __call__(
        self, xy: NDArray[np.float64], sure: NDArray[np.bool_], *, size: float, seconds: float
    ) -> NDArray[np.float64]:
        """Places [K, 2], smoothed.

        Args:
            xy: [K, 2] px.
            sure: [K] whose places are known. The others stay where they are, and start anew when they are
                known again.
            size: the person's, px.
            seconds: since the last time.
        """
        if self._raw is None:
            self._raw = self._value = np.full_like(xy, np.nan)
            self._speed = np.zeros_like(xy)
        settings, seconds = self._settings, max(seconds, _LEAST_SECONDS)
        new = np.isnan(self._raw)
        change = np.where(new, 0.0, (xy - self._raw) / seconds)
        speed = np.where(new, 0.0, _blend(self._speed, change, settings.change_hz, seconds))
        cutoff = settings.rest_hz + settings.speed_hz * np.abs(speed) / max(size, 1.0)
        value = np.where(new, xy, _blend(self._value, xy, cutoff, seconds))
        known = sure[:, None]
        self._raw, self._speed = np.where(known, xy, np.nan), speed
        self._value = np.where(known, value, np.nan)
        return np.where(known, value, xy)


def _blend(
    before: NDArray[np.float64],
    now: NDArray[np.float64],
    cutoff: NDArray[np.float64] | float,
    seconds: float,
) -> NDArray[np.float64]:
    """One step of exponential smoothing of a cutoff (Hz)."""
    share = 1 / (1 + 1 / (2 * pi * cutoff * seconds))
    return before + share * (now - before)
