"""Scoring subnets with the weights that they inherit from the supernet."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nas.data import Annotations
from nas.data.images import ImageStore
from nas.errors import UserError
from nas.evaluate import validate
from nas.evaluate.torch_model import TorchModel
from nas.models import PoseNet
from nas.search.values import Scores
from nas.space import Arch
from nas.train.calibration import CalibrationImages

_CACHE_MIB = 2048
_BATCH = 64


class SubnetEvaluator:
    """Scores calibrated subnets on the search split, which no training step and no calibration has seen.

    Args:
        net: the trained supernet.
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
        weights = [result.people for result in results]
        names = [name for name in results[0].figures if "/" not in name]
        return {
            name: float(np.average([result.figures[name] for result in results], weights=weights))
            for name in names
            if all(name in result.figures for result in results)
        }


def digest_files(*paths: Path) -> str:
    """12 hex digits that change with any file's content. Raises UserError where one is missing."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()[:12]


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
