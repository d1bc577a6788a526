"""How far joints turn."""

import numpy as np

from nas.arrays import Floats
from nas.demo.people.anatomy import BONES

# Lowest and highest (raise, out, turn) of each bone, one row for both sides.
LIMITS: dict[str, tuple[tuple[float, float], ...]] = {
    "pelvis": ((-60, 40), (-40, 40), (-180, 180)),
    "spine": ((-55, 20), (-25, 25), (-35, 35)),
    "chest": ((-35, 15), (-20, 20), (-30, 30)),
    "neck": ((-35, 30), (-20, 20), (-35, 35)),
    "head": ((-35, 30), (-20, 20), (-40, 40)),
    "shoulder": ((-10, 10), (-10, 35), (-15, 15)),
    "upper_arm": ((-55, 180), (-45, 170), (-90, 90)),
    "forearm": ((0, 150), (0, 0), (-60, 60)),
    "hand": ((-50, 50), (-20, 20), (0, 0)),
    "thigh": ((-35, 130), (-25, 75), (-40, 60)),
    "shin": ((-145, 0), (0, 0), (-15, 15)),
    "foot": ((-45, 30), (-10, 10), (-15, 25)),
}


def within_limits(angles: Floats) -> Floats:
    """[B, 3] the nearest angles that the joints allow."""
    return np.clip(angles, _LOWEST, _HIGHEST)


def _limits(column: int) -> Floats:
    parts = [bone.name.split("_", 1)[1] if bone.side else bone.name for bone in BONES]
    return np.array([[limit[column] for limit in LIMITS[part]] for part in parts], dtype=np.float64)


_LOWEST, _HIGHEST = _limits(0), _limits(1)
