"""Candidates: an evolution in which a network costs a prediction, not an evaluation."""

from collections.abc import Callable, Collection
from functools import cache, cached_property

import numpy as np

from nas.arrays import Floats
from nas.search.limits import Overrun
from nas.search.samplers.genes import INACTIVE, Genes, Genome
from nas.search.values import BatchCost
from nas.space import Arch

POOL = 12
"""So many parents there are at a time."""
_GENERATIONS = 6
_CHILDREN = 64
_ASKED = 8
_CHANGES = 2.0
# A rough time may be so much too long, as a logarithm.
_TOLERANCE = 0.03

ExpectedGain = Callable[[Genes, Floats], Floats]
"""Gains [N] of networks, of their genes [N, D] and the logarithms of their milliseconds [N]."""


class CandidateEvolution:
    """Finds the network of the greatest gain. Of many children the predictor is asked about the promising.

    Args:
        genome: of the space.
        predict: milliseconds.
        overrun: of further limits; no network over them is found.
        limit_ms: no network that takes more is found either.
    """

    def __init__(self, genome: Genome, predict: BatchCost, overrun: Overrun, *, limit_ms: float) -> None:
        self._genome = genome
        self._predict = predict
        self._overrun = overrun
        self._limit_ms = limit_ms

    def __call__(
        self,
        parents: Genes,
        log_ms: Floats,
        *,
        gain: ExpectedGain,
        roughly: Callable[[Genes], Floats],
        taken: Collection[Arch],
        rng: np.random.Generator,
    ) -> Arch | None:
        """The best candidate that is not taken; None where there is nothing to gain.

        Args:
            parents: [P, D] of the first generation.
            log_ms: [P] logarithms of their times.
            gain: what is looked for.
            roughly: logarithms of times, guessed; only differences to a parent's count.
            taken: not to be found.
            rng: of all draws.
        """
        pool, pool_ms = parents, log_ms
        archs, read = dict[bytes, Arch](), dict[bytes, Genes]()
        gains, times = dict[bytes, float](), dict[bytes, float]()
        known = {self._key_of(arch) for arch in taken}
        for _ in range(_GENERATIONS):
            varied, mothers = self._vary(pool, rng)
            children = self._genome.active(varied)
            # By what is active in them, since all else is ignored. Only those that are asked about are built.
            rows = {active.tobytes(): row for row, active in enumerate(children)}
            fresh = [key for key in rows if key not in known and key not in gains]
            if not fresh:
                continue
            at = [rows[key] for key in fresh]
            genes, mothers = children[at], mothers[at]
            rough = pool_ms[mothers] + roughly(genes) - roughly(pool[mothers])
            chosen = np.argsort(-gain(genes, rough - _TOLERANCE), kind="stable")[:_ASKED].tolist()
            asked = [fresh[place] for place in chosen]
            archs.update((key, self._genome.build(children[rows[key]])) for key in asked)
            ms = self._predict([archs[key] for key in asked])
            found = np.where(ms <= self._limit_ms, gain(genes[chosen], log_times(ms)), 0.0)
            read.update(zip(asked, genes[chosen], strict=True))
            times.update(zip(asked, log_times(ms).tolist(), strict=True))
            for key, value in zip(asked, found.tolist(), strict=True):
                gains[key] = value if value > 0 and self._overrun(archs[key]) == 0 else 0.0
            best = sorted(gains, key=lambda key: -gains[key])[:POOL]
            pool = np.concatenate([[read[key] for key in best], parents[: POOL // 3]])
            pool_ms = np.concatenate([[times[key] for key in best], log_ms[: POOL // 3]])
        winner = max(gains, key=lambda key: gains[key], default=None)
        return archs[winner] if winner is not None and gains[winner] > 0 else None

    @cached_property
    def _key_of(self) -> Callable[[Arch], bytes]:
        """Of networks that are taken: remembered, since every turn asks for all of them."""
        return cache(lambda arch: self._genome.read(arch).tobytes())

    def _vary(self, pool: Genes, rng: np.random.Generator) -> tuple[Genes, Genes]:
        """Children [N, D] of a pool, and which of it [N] each is most like.

        They are crossed or not, and some of their choices are moved by one or drawn anew.
        """
        shape = (_CHILDREN, pool.shape[1])
        mothers, fathers = (rng.integers(len(pool), size=_CHILDREN) for _ in range(2))
        crossed = (rng.random((_CHILDREN, 1)) < 0.5) & (rng.random(shape) < 0.5)
        drawn = rng.integers(self._genome.sizes, size=shape)
        mixed = np.where(crossed, pool[fathers], pool[mothers])
        mixed = np.where(mixed == INACTIVE, drawn, mixed)
        moved = np.clip(mixed + rng.choice([-1, 1], size=shape), 0, self._genome.sizes - 1)
        changed = rng.random(shape) < _CHANGES / shape[1]
        return np.where(changed, np.where(rng.random(shape) < 0.5, moved, drawn), mixed), mothers


def log_times(ms: Floats) -> Floats:
    """Logarithms, rounded: a prediction's last digit depends on what else was asked with it."""
    return np.asarray(np.round(np.log(ms), 9), np.float64)
