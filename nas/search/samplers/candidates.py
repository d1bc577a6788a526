"""Candidates: an evolution in which a network costs a prediction, not an evaluation."""

from collections.abc import Callable, Collection

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
        gains, times, read = dict[Arch, float](), dict[Arch, float](), dict[Arch, Genes]()
        for _ in range(_GENERATIONS):
            children, mothers = self._vary(pool, rng)
            # By what is active in them, since all else is ignored.
            built = {
                arch: (active, mother)
                for (arch, active), mother in zip(map(self._genome.express, children), mothers, strict=True)
            }
            fresh = [arch for arch in built if arch not in taken and arch not in gains]
            if not fresh:
                continue
            genes = np.stack([built[arch][0] for arch in fresh])
            mothers = np.array([built[arch][1] for arch in fresh])
            rough = pool_ms[mothers] + roughly(genes) - roughly(pool[mothers])
            chosen = np.argsort(-gain(genes, rough - _TOLERANCE), kind="stable")[:_ASKED].tolist()
            asked = [fresh[place] for place in chosen]
            ms = self._predict(asked)
            found = np.where(ms <= self._limit_ms, gain(genes[chosen], log_times(ms)), 0.0)
            read.update(zip(asked, genes[chosen], strict=True))
            times.update(zip(asked, log_times(ms).tolist(), strict=True))
            for arch, value in zip(asked, found.tolist(), strict=True):
                gains[arch] = value if value > 0 and self._overrun(arch) == 0 else 0.0
            best = sorted(gains, key=lambda arch: -gains[arch])[:POOL]
            pool = np.concatenate([[read[arch] for arch in best], parents[: POOL // 3]])
            pool_ms = np.concatenate([[times[arch] for arch in best], log_ms[: POOL // 3]])
        winner = max(gains, key=lambda arch: gains[arch], default=None)
        return winner if winner is not None and gains[winner] > 0 else None

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
