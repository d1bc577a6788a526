"""Scoring subnets with the weights that they inherit from the supernet."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas.arrays import Floats
from nas.data import Annotations
from nas.data.images import ImageStore
from nas.errors import UserError
from nas.evaluate import mean_pose_baseline, score
from nas.evaluate.inputs import KeptInputs
from nas.evaluate.mean import mean_figures
from nas.evaluate.torch_model import TorchModel
from nas.evaluate.validate import NOBODY, ModelAnswers, find
from nas.evaluate.weighted import bootstrap_weights, weighted_metric
from nas.layers import use_loops
from nas.layers.compiled import available
from nas.models import PoseNet
from nas.runs.calibration import CalibrationImages
from nas.search.values import STOPPED_AT, Scores, interval_names, on_part
from nas.space import Arch

DRAWS = 400
"""So many times people are drawn anew for a bootstrap interval."""

_CACHE_MIB = 2048
_INPUTS_MIB = 512
_BATCH = 64
_LEAST_PEOPLE = 32
"""A part of the split with fewer people says nothing."""


@dataclass(frozen=True)
class Part:
    """What is known of a network after a part of the search split.

    Args:
        share: of the images.
        people: that were looked at.
        accuracy: on those, by the metric; -1 where there is nobody to measure it on.
    """

    share: float
    people: int
    accuracy: float


Enough = Callable[[Part], float | None]
"""Takes what is known of a network so far; gives the accuracy to stop with, None to go on."""


class SubnetEvaluator:
    """Scores calibrated subnets on the search split, which no training step and no calibration has seen.

    Args:
        net: the trained supernet; its batch norms are computed by compiled loops where there are any.
        calibration: the run's images for batch-norm statistics.
        annotations: the search split, one entry per source.
        key: digest of weights, calibration and search images.
    """

    _metric: str | None = None
    _shares: tuple[float, ...] = ()

    def __init__(
        self,
        net: PoseNet,
        calibration: CalibrationImages,
        annotations: Sequence[Annotations],
        *,
        key: str,
    ) -> None:
        self._net = net
        use_loops(net, available())
        self._calibration = calibration
        self._sets = [_SearchSet(part, seed) for seed, part in enumerate(annotations)]
        self._key = key
        self._resampled: dict[Arch, Floats] = {}

    def for_search(
        self, metric: str, *, key: str, images: int | None = None, shares: Sequence[float] = ()
    ) -> "SubnetEvaluator":
        """The same for one metric, whose interval is told too.

        Args:
            metric: the score that is searched for.
            key: of the scores, which the calibration is a part of.
            images: how many to calibrate with; None for all, as before.
            shares: of the split's images, rising, after which it may be enough; the order of the images is
                drawn then, the same one for all networks.
        """
        other = copy(self)
        people = sum(int(part.people.sum()) for part in self._sets)
        other._metric = metric
        other._shares = tuple(share for share in shares if share * people >= _LEAST_PEOPLE)
        other._resampled = {}
        other._key = key
        if images is not None:
            other._calibration = self._calibration.part(images)
        return other

    @property
    def key(self) -> str:
        """What the scores depend on besides the architecture."""
        return self._key

    def __call__(self, arch: Arch) -> Scores:
        """COCO's ten figures and PCK without its joints; over several sources the mean, weighted by people.

        Raises:
            UserError: an image of the search split cannot be read.
        """
        return self.until(arch, lambda _: None)

    def until(self, arch: Arch, enough: Enough) -> Scores:
        """The same, unless a part of the images is enough to tell the metric."""
        model = TorchModel(self._net, arch, self._calibration.statistics(self._net, arch))
        found = [ModelAnswers([], None)] * len(self._sets)
        before: float = 0.0
        looks: dict[str, float] = {}
        for share in self._shares:
            found = self._more(model, found, before, share)
            part = self._part(found, share)
            if part.accuracy != NOBODY:
                looks[on_part(str(self._metric), share)] = part.accuracy
                if (estimate := enough(part)) is not None:
                    return {str(self._metric): estimate, STOPPED_AT: part.people, **looks}
            before = share
        found = self._more(model, found, before, 1.0)
        results = [
            score(answers.detections, part.annotations, answers=answers.answers)
            for answers, part in zip(found, self._sets, strict=True)
        ]
        return {**mean_figures(results), **looks, **self._interval(arch, found)}

    def resampled(self, arch: Arch) -> Floats:
        """The metric on sets of people that were drawn anew; the same draws for all networks."""
        if arch not in self._resampled:
            self(arch)
        return self._resampled[arch]

    def _more(
        self, model: TorchModel, found: Sequence[ModelAnswers], before: float, share: float
    ) -> list[ModelAnswers]:
        """What was found, and what is found in the images between two shares."""
        return [
            answers.joined(
                find(
                    model,
                    part.annotations,
                    store=part.store,
                    kept=part.inputs,
                    batch_size=_BATCH,
                    images=part.between(before, share) if self._shares else None,
                )
            )
            for answers, part in zip(found, self._sets, strict=True)
        ]

    def _part(self, found: Sequence[ModelAnswers], share: float) -> Part:
        weights = [part.seen(share)[None] for part in self._sets]
        people = sum(float(seen[0] @ part.people) for seen, part in zip(weights, self._sets, strict=True))
        return Part(share, round(people), float(self._weighted(found, weights)[0]))

    def _interval(self, arch: Arch, found: Sequence[ModelAnswers]) -> dict[str, float]:
        """Where 95 % of the draws lie; nothing where no metric was named, or nobody is there."""
        if self._metric is None:
            return {}
        self._resampled[arch] = self._weighted(found, [part.draws for part in self._sets])
        known = self._resampled[arch][self._resampled[arch] != NOBODY]
        if not len(known):
            return {}
        low, high = np.quantile(known, (0.025, 0.975)).tolist()
        return dict(zip(interval_names(self._metric), (low, high), strict=True))

    def _weighted(self, found: Sequence[ModelAnswers], weights: Sequence[Floats]) -> Floats:
        """The metric [B] for weights [B, I] of the images of every set; the mean as of all of them."""
        assert self._metric is not None
        values = np.stack([
            weighted_metric(self._metric, answers, part.annotations)(drawn)
            for answers, part, drawn in zip(found, self._sets, weights, strict=True)
        ])  # fmt: skip
        people = np.stack([drawn @ part.people for part, drawn in zip(self._sets, weights, strict=True)])
        people[values == NOBODY] = 0
        total = people.sum(axis=0)
        return np.where(total > 0, (values * people).sum(axis=0) / np.where(total > 0, total, 1), NOBODY)


class _SearchSet:
    """The search split of one source, its images in memory: hundreds of networks will look at them."""

    def __init__(self, annotations: Annotations, seed: int) -> None:
        self.annotations = annotations
        self.store = _store(annotations)
        self.inputs = KeptInputs(_INPUTS_MIB)
        self._seed, count = seed, len(annotations.images)
        people = annotations.people
        self.people = np.bincount(people.image[people.labelled], minlength=count)
        self._order = np.random.default_rng((seed, count)).permutation(count)

    @cached_property
    def draws(self) -> Floats:
        return bootstrap_weights(len(self.annotations.images), draws=DRAWS, seed=self._seed)

    def between(self, low: float, high: float) -> list[int]:
        """Positions of the images between two shares."""
        positions: list[int] = self._order[self._count(low) : self._count(high)].tolist()
        return positions

    def seen(self, share: float) -> Floats:
        """1 for each image [I] up to a share, 0 for the others."""
        seen = np.zeros(len(self._order))
        seen[self._order[: self._count(share)]] = 1.0
        return seen

    def _count(self, share: float) -> int:
        return int(np.ceil(share * len(self._order)))


def average_pose(training: Sequence[Annotations], search: Sequence[Annotations]) -> Scores:
    """What the average pose of a source's training people scores, put into the boxes of its search people.

    Figures as of `SubnetEvaluator`: a network has learned something only above them.
    """
    by_path = {part.path: part for part in training}
    return mean_figures([mean_pose_baseline(by_path[part.path], part) for part in search])


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
