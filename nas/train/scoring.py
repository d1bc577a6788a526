"""Scores of networks during training."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain

import numpy as np
from lightning_fabric import Fabric

from nas.data import Annotations
from nas.evaluate.torch_model import TorchModel
from nas.evaluate.validate import ModelAnswers, Result, find, score
from nas.models import PoseNet
from nas.runs.calibration import CalibrationImages
from nas.runs.data import RunData
from nas.space import Arch, ArchManager, SearchSpace
from nas.train.processes import gather, my_part, spread

_FIGURES = ("AP", "PCK_torso@0.2")
"""Shown in the metrics, of those that a set has."""


class Scorer:
    """Scores calibrated architectures on the first images of a set.

    Calibration and images are shared out over the processes, all of which have to ask for the same scores.

    Args:
        annotations: the set.
        images: how many of its images.
        calibration: gives their batch-norm statistics.
        fabric: of the processes.
    """

    def __init__(
        self,
        annotations: Annotations,
        *,
        images: int,
        calibration: CalibrationImages,
        fabric: Fabric | None = None,
    ) -> None:
        self._annotations = annotations.first(images)
        self._calibration = calibration
        self._fabric = fabric
        own = my_part(fabric, len(self._annotations.images))
        self._mine = self._annotations.select(self._annotations.images[index].id for index in own)

    def __call__(self, net: PoseNet, archs: Mapping[str, Arch]) -> dict[str, float]:
        """`val/NAME/FIGURE` of each architecture."""
        scores: dict[str, float] = {}
        for name, arch in archs.items():
            statistics = self._calibration.statistics(net, arch, share=partial(spread, self._fabric))
            found = find(TorchModel(net, arch, statistics), self._mine)
            result = self._score(gather(self._fabric, found))
            scores |= {f"val/{name}/{f}": float(result[f]) for f in _FIGURES if f in result.figures}
        return scores

    def _score(self, parts: Sequence[ModelAnswers]) -> Result:
        """The score of what all processes found, in the order of the images."""
        answers = [part.answers for part in parts if part.answers is not None]
        return score(
            list(chain.from_iterable(part.detections for part in parts)),
            self._annotations,
            answers=np.concatenate(answers) if answers else None,
        )


def build_scorer(
    data: RunData, calibration: Callable[[], CalibrationImages], fabric: Fabric
) -> Scorer | None:
    """Of a run's validation set, calibrated on what `calibration` opens; None where it has no such set."""
    config = data.config
    if not config.data.validates:
        return None
    return Scorer(
        data.validation[0],
        images=config.validation.images,
        calibration=calibration(),
        fabric=fabric,
    )


def ends(space: SearchSpace) -> dict[str, Arch]:
    """The largest and the smallest network of a space."""
    manager = ArchManager(space)
    return {"largest": manager.largest(), "smallest": manager.smallest()}
