"""Scoring subnets with the weights that they inherit from the supernet."""

from collections.abc import Sequence

import numpy as np

from nas.data import Annotations
from nas.data.images import ImageStore
from nas.errors import UserError
from nas.evaluate import mean_pose_baseline, validate
from nas.evaluate.torch_model import TorchModel
from nas.evaluate.validate import NOBODY, Result
from nas.layers import use_loops
from nas.layers.compiled import available
from nas.models import PoseNet
from nas.runs.calibration import CalibrationImages
from nas.search.values import Scores
from nas.space import Arch

_CACHE_MIB = 2048
_BATCH = 64


class SubnetEvaluator:
    """Scores calibrated subnets on the search split, which no training step and no calibration has seen.

    Args:
        net: the trained supernet; its batch norms are computed by compiled loops where there are any.
        calibration: the run's images for batch-norm statistics.
        annotations: the search split, one entry per source.
        key: digest of weights, calibration and search images.
        padding: of person crops.
    """

    def __init__(
        self,
        net: PoseNet,
        calibration: CalibrationImages,
        annotations: Sequence[Annotations],
        *,
        key: str,
        padding: float,
    ) -> None:
        self._net = net
        use_loops(net, available())
        self._calibration = calibration
        self._sets = [(part, _store(part)) for part in annotations]
        self._padding = padding
        self._key = key

    @property
    def key(self) -> str:
        """What the scores depend on besides the architecture."""
        return self._key

    def __call__(self, arch: Arch) -> Scores:
        """COCO's ten figures and PCK without its joints; over several sources the mean, weighted by people.

        Raises:
            UserError: an image of the search split cannot be read.
        """
        model = TorchModel(self._net, arch, self._calibration.statistics(self._net, arch))
        results = [
            validate(model, part, padding=self._padding, store=store, batch_size=_BATCH)
            for part, store in self._sets
        ]
        return _mean(results)


def average_pose(training: Sequence[Annotations], search: Sequence[Annotations]) -> Scores:
    """What the average pose of a source's training people scores, put into the boxes of its search people.

    Figures as of `SubnetEvaluator`: a network has learned something only above them.
    """
    by_path = {part.path: part for part in training}
    return _mean([mean_pose_baseline(by_path[part.path], part) for part in search])


def require_measured(metric: str, scores: Scores) -> None:
    """Raise UserError where a metric is not among the scores, or there was nobody to measure it on."""
    if metric not in scores:
        raise UserError(
            f"metric {metric}: the images that are kept for the search cannot be scored by it (every image "
            f"of every set needs what it is made of); they can by {', '.join(scores)}"
        )
    if scores[metric] == NOBODY:
        raise UserError(
            f"metric {metric}: the images that are kept for the search show nobody to measure it on; search "
            "for another one"
        )


def _mean(results: Sequence[Result]) -> Scores:
    """Of several sources, weighted by people; those that have nobody for a figure do not count in it."""
    shared = [
        name
        for name in results[0].figures
        if "/" not in name and all(name in result.figures for result in results)
    ]
    found = {}
    for name in shared:
        known = [result for result in results if result.figures[name] != NOBODY and result.people]
        weights = [result.people for result in known]
        values = [result.figures[name] for result in known]
        found[name] = float(np.average(values, weights=weights)) if known else NOBODY
    return found


def _store(annotations: Annotations) -> ImageStore:
    """The images in memory: hundreds of networks will look at them."""
    count = len(annotations.images)
    return ImageStore(
        [annotations.image_file(image) for image in range(count)],
        np.array([image.size for image in annotations.images], np.int64),
        np.ones(count),
        orientations=[annotations.orientation] * count,
        budget_mib=_CACHE_MIB,
    )
