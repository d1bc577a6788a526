"""Scores of networks during training."""

from collections.abc import Mapping

from nas.data import Annotations
from nas.evaluate import validate
from nas.evaluate.torch_model import TorchModel
from nas.models import PoseNet
from nas.space import Arch, SearchSpace
from nas.train.calibration import CalibrationImages

_FIGURES = ("AP", "PCK_torso@0.2")
"""Shown in the metrics, of those that a set has."""


class Scorer:
    """Scores calibrated architectures on the first images of a set.

    Args:
        annotations: the set.
        images: how many of its images.
        calibration: gives their batch-norm statistics.
        padding: of person crops.
    """

    def __init__(
        self, annotations: Annotations, *, images: int, calibration: CalibrationImages, padding: float
    ) -> None:
        self._annotations = annotations.first(images)
        self._calibration = calibration
        self._padding = padding

    def __call__(self, net: PoseNet, archs: Mapping[str, Arch]) -> dict[str, float]:
        """`val/NAME/FIGURE` of each architecture."""
        scores: dict[str, float] = {}
        for name, arch in archs.items():
            model = TorchModel(net, arch, self._calibration.statistics(net, arch))
            result = validate(model, self._annotations, padding=self._padding)
            scores |= {f"val/{name}/{f}": float(result[f]) for f in _FIGURES if f in result.figures}
        return scores


def ends(space: SearchSpace) -> dict[str, Arch]:
    """The largest and the smallest network of a space."""
    return {"largest": space.largest(), "smallest": space.smallest()}
