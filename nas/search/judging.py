"""Telling finalists apart by accuracy: a paired bootstrap over people, and more images to calibrate with."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from nas.arrays import Floats
from nas.evaluate.validate import NOBODY
from nas.files import append_row, read_rows
from nas.search.evaluator import DRAWS, SubnetEvaluator
from nas.search.loop import scored
from nas.search.record import EvaluationCache
from nas.search.values import Evaluation
from nas.space import Arch


class AccuracyJudge:
    """Compares finalists on everybody.

    Args:
        quick: scores as while searching.
        thorough: calibrates with all of the run's images.
        cache: of scores; what they were on drawn people is kept beside it, in `draws.jsonl`.
        metric: that is searched for.
    """

    def __init__(
        self, quick: SubnetEvaluator, thorough: SubnetEvaluator, *, cache: EvaluationCache, metric: str
    ) -> None:
        self._draws = _Draws(cache.path.with_name("draws.jsonl"))
        self._quick = quick
        self._thorough = quick if thorough.key == quick.key else thorough
        self._cache = cache
        self._metric = metric
        self._judged: set[Arch] = set()

    def whole(self, item: Evaluation) -> Evaluation:
        """The same, scored on everybody as while searching."""
        return self._scored(item, self._quick)

    def closer(self, item: Evaluation) -> Evaluation:
        """The same, calibrated with all of the run's images."""
        self._judged.add(item.arch)
        return self._scored(item, self._thorough)

    def tied(self, one: Evaluation, other: Evaluation) -> bool:
        """Whether the difference may be nought: both are scored on the same draws of people.

        Where their intervals lie apart, they are not asked.
        """
        return _tied(one, other, self.resampled)

    def resampled(self, item: Evaluation) -> Floats:
        """Accuracies of a network on drawn people, by how it was scored last."""
        evaluator = self._thorough if item.arch in self._judged else self._quick
        key = f"{evaluator.key} {self._metric}"
        known = self._draws.get(key, item.arch)
        if known is None:
            known = evaluator.resampled(item.arch)
            self._draws.add(key, item.arch, known)
        return known

    def _scored(self, item: Evaluation, evaluator: SubnetEvaluator) -> Evaluation:
        scores = scored(evaluator, item.arch, self._cache, metric=self._metric)
        found = Evaluation.of(item.arch, item.predicted_ms, scores, metric=self._metric)
        return replace(found, overrun=item.overrun)


class JointJudge:
    """Compares finalists of several runs, each scored with the weights of its own, on the same people.

    Args:
        judges: those of the runs, by the network that is of it.
    """

    def __init__(self, judges: Mapping[Arch, AccuracyJudge]) -> None:
        self._judges = judges

    def whole(self, item: Evaluation) -> Evaluation:
        """As its run's judge."""
        return self._judges[item.arch].whole(item)

    def closer(self, item: Evaluation) -> Evaluation:
        """As its run's judge."""
        return self._judges[item.arch].closer(item)

    def tied(self, one: Evaluation, other: Evaluation) -> bool:
        """As one run's judge: the draws of people are the same in all runs."""
        return _tied(one, other, lambda item: self._judges[item.arch].resampled(item))


class _Draws:
    """Accuracies on drawn people: JSON lines, so that the same search again scores nobody for them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[str, str], Floats] = {}
        for _, row in read_rows(path, strict=False) if path.is_file() else ():
            with suppress(KeyError, TypeError, ValueError):
                self._known[row["key"], row["id"]] = np.array(row["draws"], float)

    def get(self, key: str, arch: Arch) -> Floats | None:
        known = self._known.get((key, arch.id))
        return known if known is not None and known.shape == (DRAWS,) else None

    def add(self, key: str, arch: Arch, draws: Floats) -> None:
        append_row(self._path, {"key": key, "id": arch.id, "draws": draws.tolist()})
        self._known[key, arch.id] = draws


class KnownAccuracies:
    """Compares networks by what is known of them: no network is scored."""

    def whole(self, item: Evaluation) -> Evaluation:
        """The same: what was stopped early is not asked about."""
        return item

    def closer(self, item: Evaluation) -> Evaluation:
        """The same, too."""
        return item

    def tied(self, one: Evaluation, other: Evaluation) -> bool:
        """Whether their intervals overlap; where one has none, whether they are equal."""
        if one.interval is None or other.interval is None:
            return one.accuracy == other.accuracy
        return _overlap(one.interval, other.interval)


def _tied(one: Evaluation, other: Evaluation, resampled: Callable[[Evaluation], Floats]) -> bool:
    """Whether the difference of two networks on the same drawn people may be nought."""
    if one.interval and other.interval and not _overlap(one.interval, other.interval):
        return False
    first, second = resampled(one), resampled(other)
    differences = (first - second)[(first != NOBODY) & (second != NOBODY)]
    if not len(differences):
        return True
    low, high = np.quantile(differences, (0.025, 0.975))
    return bool(low <= 0 <= high)


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
