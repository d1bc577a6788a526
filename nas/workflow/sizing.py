"""How long to train, on what inputs: by the number of people, their sizes, cores and memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from nas.arrays import Floats
from nas.data.split import FRACTION

_FEW = 5_000
"""Fewer people than this get a space of smaller networks."""

_STEP_SECONDS = {True: 0.39, False: 0.68}
"""Of a supernet step of 32 people on two cores of an EPYC with AVX2, by whether the space is the small one.

Measured on 300 and 9,200 people of LSP, with a fifth of the steps of the largest network alone.
"""

_SINGLE_SHARE = 0.25
"""Of that, what a step of one network in the middle takes, of one head."""

_BATCH = 32
_SMALL = 80.0
"""Px: people of less on their longer side are shown in smaller inputs."""

_LEAST_MIB = 4096
"""With less memory, batches are half as large."""

_LEAST_PART = 8
"""People whose statistics a batch norm needs: no process gets fewer of a step's."""

_PROCESS_MIB = 2048
"""Of memory that each process needs."""


@dataclass(frozen=True)
class Sizing:
    """What a recipe and a space are sized by.

    Args:
        cores, memory_mib: of this machine.
        people: labelled, in the training file.
        small: whether the space is the one of smaller networks.
        resolutions: (h, w) of the inputs.
        batch: people per step.
        holdout: share of the training images that is validated on; 0 where there is another set.
        epochs: of the supernet, and of every fine-tuning.
        steps: of each.
        minutes: of the supernet, and of one fine-tuning, by what other machines took.
        processes: that share each step's batch.
        workers: further ones that prepare samples, for each of these.
        calibration: images that calibrate a network.
    """

    cores: int
    memory_mib: int
    people: int
    small: bool
    resolutions: tuple[tuple[int, int], ...]
    batch: int
    holdout: float
    epochs: int
    steps: int
    minutes: tuple[float, float]
    processes: int
    workers: int
    calibration: int


def size(people: int, boxes: Floats, *, cores: int, memory_mib: int, has_validation: bool) -> Sizing:
    """The sizing for so many labelled people with boxes [N, 2] (w, h) in px."""
    small = people < _FEW
    holdout = 0.0 if has_validation else 0.2 if people < 500 else 0.1
    training = max(1, round(people * (1 - holdout) * (1 - FRACTION)))
    batch = min(_BATCH if memory_mib >= _LEAST_MIB else _BATCH // 2, max(4, training // 4))
    processes = _processes(cores, batch, memory_mib)
    batch -= batch % processes
    seen = max(min(max(40 * training, 20_000), 40_000 * processes), 8 * training)
    epochs = max(1, round(seen / training))
    steps = ceil(epochs * training / batch)
    seconds = _STEP_SECONDS[small] * batch / _BATCH * 2 / processes
    return Sizing(
        cores=cores,
        memory_mib=memory_mib,
        people=people,
        small=small,
        resolutions=_resolutions(boxes),
        batch=batch,
        holdout=holdout,
        epochs=epochs,
        steps=steps,
        minutes=(steps * seconds / 60, steps * seconds * _SINGLE_SHARE / 60),
        processes=processes,
        workers=min(cores // processes - 1, 8),
        calibration=min(256, max(batch, training // 2)),
    )


def _processes(cores: int, batch: int, memory_mib: int) -> int:
    most = min(cores, batch // _LEAST_PART, memory_mib // _PROCESS_MIB)
    return 1 << max(0, most.bit_length() - 1)


def _resolutions(boxes: Floats) -> tuple[tuple[int, int], ...]:
    """Two inputs (h, w) as tall or wide as people usually are here, every side a multiple of 16."""
    width, height = np.median(boxes, axis=0)
    sides: Sequence[tuple[int, int]] = ((96, 64), (128, 96))
    if max(width, height) < _SMALL:
        sides = ((64, 48), (96, 64))
    if width > 1.15 * height:
        return tuple((short, long) for long, short in sides)
    if height > 1.15 * width:
        return tuple(sides)
    return tuple((side, side) for side in (sides[0][1] + 16, sides[1][1] + 16))
