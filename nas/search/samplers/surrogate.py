"""Search by a model of accuracy: score what it expects to gain most, within the budgets."""

from collections.abc import Callable, Sequence
from functools import cache, cached_property

import numpy as np

from nas.arrays import Floats
from nas.search.samplers.base import ArchSampler, Known
from nas.search.samplers.candidates import POOL, CandidateEvolution, log_times
from nas.search.samplers.features import Features
from nas.search.samplers.gain import BudgetGain, FrontGain
from nas.search.samplers.gaussian_process import Covariance, GaussianProcess, unit_of
from nas.search.samplers.genes import Genes
from nas.search.samplers.prior import AccuracyModel, GuidedProcess, Trend
from nas.space import Arch, ArchManager

STARTUP = 10
"""So many networks are scored before any is modelled."""
FRONT_EVERY = 3
"""Every so many turns belong to the whole front, the others to the budgets in turn."""
BAND = 0.8
"""A network that is drawn for a budget takes this share of it at least."""

# The model's parameters are fitted anew whenever there are so many times the networks of the last time.
_GROWTH = 1.2
# Networks up to so much over a budget, as a logarithm, may have children within it.
_NEAR = 0.2
_RIDGE = 1.0


class SurrogateSampler(ArchSampler):
    """Scores the network of the greatest expected gain in the best accuracy of a budget, or under the front.

    Accuracy is modelled by a Gaussian process; time is predicted for every candidate before it is compared.
    Candidates are evolved from the networks that have been scored. Published, smallest and largest networks
    come first, then some that are drawn; half as many where there is a prior.
    """

    name = "surrogate"
    takes_prior = True
    _fitted: tuple[Floats, Covariance] | None = None

    def _propose(self, known: Known, rng: np.random.Generator) -> Arch:
        for arch in self._anchors:
            if arch not in known.taken:
                return arch
        budget = self._aim(known.number)
        usable = sum(map(self._is_usable, known.scored))
        # What was scored for larger budgets counts: it is modelled, too.
        if usable < 2 or self._starts(len(known.scored) + len(known.running)):
            return self._drawn(budget, known, rng)
        return self._best(budget, known, rng) or self._drawn(budget, known, rng)

    def _starts(self, modelled: int) -> bool:
        """Whether a turn is for drawing at random, where so many networks are or will be modelled.

        With a prior every other one is: what it prefers alone would not show where it is wrong.
        """
        return modelled < STARTUP and (self._trend is None or modelled % 2 == 1)

    @cached_property
    def _anchors(self) -> tuple[Arch, ...]:
        """Published, smallest and largest networks of every head, where budgets and limits allow."""
        manager, space = ArchManager(self._space), self._space
        archs = dict.fromkeys(space.published().values())
        for head in space.heads:
            archs |= dict.fromkeys((manager.smallest(head=head), manager.largest(head=head)))
        times = self._predict(list(archs)).tolist()
        return tuple(
            arch
            for arch, ms in zip(archs, times, strict=True)
            if ms <= self._budgets[-1] and self._overrun(arch) == 0
        )

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """Logarithms of what the smallest and the largest networks take, more or less the space's ends."""
        manager, heads = ArchManager(self._space), self._space.heads
        small = self._predict([manager.smallest(head=head) for head in heads])
        large = self._predict([manager.largest(head=head) for head in heads])
        return float(log_times(small).min()), float(log_times(large).max())

    @cached_property
    def _features(self) -> Features:
        return Features(self._genome)

    @cached_property
    def _evolve(self) -> CandidateEvolution:
        return CandidateEvolution(self._genome, self._predict, self._overrun, limit_ms=self._budgets[-1])

    def _aim(self, number: int) -> float | None:
        """The budget that a turn belongs to; None for the whole front."""
        if number % FRONT_EVERY == FRONT_EVERY - 1:
            return None
        return self._budgets[(number - number // FRONT_EVERY) % len(self._budgets)]

    def _drawn(self, budget: float | None, known: Known, rng: np.random.Generator) -> Arch:
        """A random network just within a budget, or anywhere below the largest."""
        least, most = self._ends
        if budget is None:
            low, high = sorted([least, min(most, float(np.log(self._budgets[-1])))])
            budget = float(np.exp(rng.uniform(low, high)))
        arch = self._move(
            self._genome.random(rng),
            rng,
            high_ms=budget,
            low_ms=BAND * min(budget, float(np.exp(most))),
            taken=known.taken,
        )
        return arch or self._moved(self._genome.random(rng), known, rng)

    def _best(self, budget: float | None, known: Known, rng: np.random.Generator) -> Arch | None:
        """The network of the greatest expected gain that was found; None where nothing new was."""
        genes = np.stack([self._genes_of(item.arch) for item in known.scored])
        log_ms = log_times(np.array([item.predicted_ms for item in known.scored]))
        points, values = self._points(genes, log_ms), np.array([item.accuracy for item in known.scored])
        model = self._model(points, values)
        means, stds = model(points)
        usable = np.array([self._is_usable(item) for item in known.scored])
        gain = self._gain(budget, log_ms[usable], means[usable])
        # The best by what they would gain themselves; where that is nought, by accuracy.
        accuracies = np.where(log_ms <= gain.log_ms + _NEAR, means, -np.inf)
        parents = np.lexsort((-accuracies, -gain(means, stds, log_ms)))[:POOL]
        model = model.believing(self._points_of(known.running))
        line = _Line(self._features(genes), log_ms)
        return self._evolve(
            genes[parents],
            log_ms[parents],
            gain=lambda genes, log_ms: gain(*model(self._points(genes, log_ms)), log_ms),
            roughly=lambda genes: line(self._features(genes)),
            taken=known.taken,
            rng=rng,
        )

    def _gain(self, budget: float | None, log_ms: Floats, means: Floats) -> BudgetGain | FrontGain:
        """Over networks with these times and (without noise) accuracies."""
        floor, limit = float(means.min()), float(log_times(np.array(budget or self._budgets[-1])))
        if budget is not None:
            return BudgetGain(limit, max(means[log_ms <= limit].tolist(), default=floor))
        order = np.lexsort((-means, log_ms))
        best = np.maximum.accumulate(means[order])
        rises = np.concatenate([[True], best[1:] > best[:-1]])
        return FrontGain(limit, log_ms[order][rises], best[rises], floor)

    def _points(self, genes: Genes, log_ms: Floats) -> Floats:
        """What the model sees [N, F + 1]: time is the best single feature, and known."""
        low, high = self._ends
        time = 2 * (log_ms - low) / max(high - low, 1e-6) - 1
        return np.column_stack([self._features(genes), time])

    def _points_of(self, archs: Sequence[Arch]) -> Floats:
        genes = np.array([self._genome.read(arch) for arch in archs], np.int64)
        return self._points(
            genes.reshape(len(archs), len(self._genome.names)), log_times(self._predict(archs))
        )

    @cached_property
    def _genes_of(self) -> Callable[[Arch], Genes]:
        """Of networks that were scored: remembered, since every turn asks for all of them."""
        return cache(self._genome.read)

    @cached_property
    def _trend(self) -> Trend | None:
        """What the prior lets one expect; None where there is none."""
        if self._prior is None:
            return None
        archs = [self._genome.build(genes) for genes in self._prior.genes]
        return Trend(self._points_of(archs), self._prior.accuracies)

    def _model(self, points: Floats, values: Floats) -> AccuracyModel:
        """Of accuracy, by what was scored. Its parameters are fitted to a beginning of that."""
        size, trend = _beginning(len(values)), self._trend
        if trend is None:
            return GaussianProcess(self._covariance(points[:size], values[:size]), points, values)
        slope = trend.slope(points[:size], values[:size])
        left = values - slope * trend(points)[0]
        covariance = self._covariance(points[:size], left[:size])
        unit = trend.spread(left, least=STARTUP)
        return GuidedProcess(trend, slope, GaussianProcess(covariance, points, left, unit=unit))

    def _covariance(self, points: Floats, values: Floats) -> Covariance:
        middle, unit = unit_of(values)
        fitted = np.column_stack([points, (values - middle) / unit])
        if self._fitted is None or not np.array_equal(self._fitted[0], fitted):
            self._fitted = fitted, Covariance.fit(fitted[:, :-1], fitted[:, -1])
        return self._fitted[1]


def _beginning(count: int) -> int:
    """Of so many networks, how many parameters are fitted to: so that not every turn needs a fit."""
    size = STARTUP
    while int(_GROWTH * size) <= count:
        size = int(_GROWTH * size)
    return min(size, count)


class _Line:
    """Logarithms of time as a linear function of features, to ask the predictor about fewer candidates."""

    def __init__(self, features: Floats, log_ms: Floats) -> None:
        self._middle = float(log_ms.mean())
        ridge = features.T @ features + _RIDGE * np.eye(features.shape[1])
        self._weights = np.linalg.solve(ridge, features.T @ (log_ms - self._middle))

    def __call__(self, features: Floats) -> Floats:
        return np.asarray(self._middle + features @ self._weights)
