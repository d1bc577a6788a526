"""What people look like: the colours along their limbs, which tell apart those whose ways cross."""

from collections.abc import Sequence

import numpy as np

from nas.arrays import Floats
from nas.runtime.frames import ColourFrame
from nas.runtime.poses import SeenPoses

_PLACES = np.array([0.25, 0.5, 0.75])
"""Where on a limb its colour is read, from one end to the other."""

_OTHER = 30.0
"""Grey levels by which colours of the same clothes seldom differ: a pose is a little off, light changes."""


def limb_colours(frame: ColourFrame, seen: SeenPoses, limbs: Sequence[tuple[int, int]]) -> Floats:
    """The mean colours [N, limbs, 3] of people's limbs in a frame; NaN of limbs with an unsure end.

    Args:
        frame: where.
        seen: people's poses.
        limbs: positions of their two ends.
    """
    ends = np.array(limbs, np.intp).reshape(-1, 2)
    known = np.all(seen.sure[:, ends], axis=2, keepdims=True)
    start, end = (seen.keypoints[:, side, None, :2] for side in ends.T)
    places = np.rint(start + (end - start) * _PLACES[:, None])
    height, width = frame.size
    x, y = (
        np.fmin(np.fmax(places[..., axis], 0), limit - 1).astype(np.intp)  # 0 where unknown
        for axis, limit in enumerate((width, height))
    )
    colours = frame.pixels[y, x].mean(2, dtype=np.float64)
    return np.where(known, colours, np.nan)


def same_look(found: Floats, known: Floats) -> Floats:
    """How likely colours [N, limbs, 3] are those of others [M, limbs, 3], by those that both have: [N, M].

    1 for the same colours, and where there is nothing to compare; towards 0 for others.
    """
    difference = np.abs(found[:, None] - known)
    count = np.isfinite(difference).sum((2, 3))
    mean = np.fmax(difference, 0).sum((2, 3)) / np.maximum(count, 1)
    return np.asarray(np.exp(-((mean / _OTHER) ** 2)), np.float64)


def blended(before: Floats, now: Floats, share: Floats | float) -> Floats:
    """Colours of which a share is new; those that are known at one time only are taken as they are."""
    mixed = np.where(np.isnan(now), before, before + share * (now - before))
    return np.where(np.isnan(before), now, mixed)
