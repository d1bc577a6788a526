"""Smoothing of keypoints over time: steady at rest, quick in motion."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np

from nas.arrays import Flags, Floats

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
    """The One Euro filter (Casiez, Roussel, Vogel, CHI 2012) of all coordinates of people.

    Speeds count in sizes of the person, so that near and far people are smoothed alike.

    Args:
        settings: of the filter.
    """

    def __init__(self, settings: OneEuroSettings | None = None) -> None:
        self._settings = settings or OneEuroSettings()
        self._states: dict[int, Floats] = {}
        """By person [3, K, 2]: their places as they came, and smoothed, NaN where unknown; their speeds."""

    def __call__(
        self,
        xy: Floats,
        sure: Flags,
        *,
        ids: Sequence[int],
        sizes: Floats,
        seconds: Floats,
    ) -> Floats:
        """Places [N, K, 2], smoothed.

        Args:
            xy: [N, K, 2] px.
            sure: [N, K] whose places are known. The others stay where they are, and start anew when they are
                known again.
            ids: whose they are, each once.
            sizes: [N] the people's, px.
            seconds: [N] since the last time.
        """
        if not len(xy):
            return xy
        settings, nobody = self._settings, np.full((3, *xy.shape[1:]), np.nan)
        raw, before, speed = np.stack([self._states.get(id_, nobody) for id_ in ids], 1)
        passed = np.maximum(seconds, _LEAST_SECONDS)[:, None, None]
        new = np.isnan(raw)
        change = np.where(new, 0.0, (xy - raw) / passed)
        speed = np.where(new, 0.0, _blend(speed, change, settings.change_hz, passed))
        size = np.maximum(sizes, 1.0)[:, None, None]
        cutoff = settings.rest_hz + settings.speed_hz * np.abs(speed) / size
        value = np.where(new, xy, _blend(before, xy, cutoff, passed))
        known = sure[..., None]
        states = np.stack([np.where(known, xy, np.nan), np.where(known, value, np.nan), speed], 1)
        self._states.update(zip(ids, states, strict=True))
        return np.where(known, value, xy)

    def keep(self, ids: Collection[int]) -> None:
        """Forget everybody but these."""
        self._states = {id_: state for id_, state in self._states.items() if id_ in ids}


def _blend(
    before: Floats,
    now: Floats,
    cutoff: Floats | float,
    seconds: Floats,
) -> Floats:
    """One step of exponential smoothing of a cutoff (Hz)."""
    share = 1 / (1 + 1 / (2 * pi * cutoff * seconds))
    return before + share * (now - before)
