"""What all samplers share: what they are told, and how they read a study."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import ThreadpoolController

from nas.graph.tracer import collector_paused
from nas.search.limits import Overrun, no_overrun
from nas.search.samplers.genes import Genes, Genome, index_distributions
from nas.search.samplers.moving import Mover
from nas.search.samplers.prior import Prior
from nas.search.values import BatchCost, Evaluation
from nas.space import Arch, SearchSpace

_ATTEMPTS = 20


@cache
def _blas() -> ThreadpoolController:
    """Keeps linear algebra to one thread: matrices are small here, and threads that wait for each other spin,
    which takes several times as long as soon as anything else runs on the same cores."""
    return ThreadpoolController()


class NothingLeftError(Exception):
    """No network within the budgets is left that was not scored already."""


@dataclass(frozen=True)
class Known:
    """What a study knows before a trial.

    Args:
        scored: in the order of their trials, with times by the present predictor.
        running: networks that are being scored.
        number: how many trials went before.
    """

    scored: Sequence[Evaluation]
    running: Sequence[Arch]
    number: int

    @cached_property
    def taken(self) -> frozenset[Arch]:
        """Networks that are not to be proposed again."""
        return frozenset([*(item.arch for item in self.scored), *self.running])


class ArchSampler(optuna.samplers.BaseSampler):
    """Draws one network per trial: within the largest budget and all limits, and never one twice.

    A draw is a function of the seed and of what the study knows, whatever its storage: a sampler keeps
    nothing that it could not work out again, writes nothing, and a search that was killed goes on as if it
    had not been. The parameters of a trial are the indices of its choices (`index_distributions`).

    Args:
        space: the search space.
        predict: milliseconds of networks.
        budgets_ms: hard limits; no network takes more than the largest of them.
        seed: of every draw.
        overrun: of further limits.
        prior: what networks of the space scored with other weights; for those that `takes_prior`.
    """

    name: ClassVar[str]
    """What it is chosen by."""
    takes_prior: ClassVar[bool] = False
    """Whether it models accuracy, and a prior helps it."""

    def __init__(
        self,
        space: SearchSpace,
        predict: BatchCost,
        *,
        budgets_ms: Sequence[float],
        seed: int,
        overrun: Overrun = no_overrun,
        prior: Prior | None = None,
    ) -> None:
        self.distributions = index_distributions(space)
        self._space = space
        self._predict = predict
        self._budgets = tuple(sorted(budgets_ms))
        self._seed = seed
        self._overrun = overrun
        self._prior = prior
        self._genome = Genome(space)
        self._move = Mover(self._genome, predict, overrun)
        self._archs: dict[tuple[tuple[str, int], ...], Arch] = {}

    def arch(self, params: Mapping[str, int]) -> Arch:
        """The network of a trial's parameters. Raises ValueError where an active dimension is missing."""
        arch = self._genome.of_params(params)
        if arch is None:
            raise ValueError(f"{sorted(params)} leave open what network of {self._space.name} is meant")
        return arch

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All elastic dimensions: a network is drawn as one thing."""
        return dict(self.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The indices of a network's choices; of inactive dimensions, that in the middle.

        Raises:
            NothingLeftError: no new network within the budgets was found.
        """
        # Networks are built and dropped by the hundred, and what is known would be scanned again and again.
        with collector_paused(), _blas().limit(limits=1, user_api="blas"):
            known = self._read(study, trial)
            if len(known.taken) >= self._space.size:
                raise NothingLeftError(f"all {self._space.size} networks of {self._space.name} are scored")
            arch = self._propose(known, np.random.default_rng((self._seed, known.number)))
        return self._genome.params(arch)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Nothing is drawn by itself. Raises ValueError."""
        raise ValueError(f"{param_name} is no elastic dimension of {self._space.name}")

    @abstractmethod
    def _propose(self, known: Known, rng: np.random.Generator) -> Arch:
        """A new network within the largest budget and the limits."""

    def _moved(
        self, genes: Genes, known: Known, rng: np.random.Generator, *, budget_ms: float | None = None
    ) -> Arch:
        """A new network near `genes`, moved within a budget (the largest) where it is not."""
        high = self._budgets[-1] if budget_ms is None else budget_ms
        for _ in range(_ATTEMPTS):
            arch = self._move(genes, rng, high_ms=high, taken=known.taken)
            if arch is not None:
                return arch
            genes, high = self._genome.random(rng), self._budgets[-1]
        raise NothingLeftError(f"no further network within {self._budgets[-1]:g} ms was found")

    def _is_usable(self, item: Evaluation) -> bool:
        """Whether a network is within the largest budget and all limits."""
        return item.predicted_ms <= self._budgets[-1] and item.overrun == 0

    def _read(self, study: optuna.Study, trial: FrozenTrial) -> Known:
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))
        complete = [other for other in trials if other.state is TrialState.COMPLETE]
        running = [
            other for other in trials if other.state is TrialState.RUNNING and other.number != trial.number
        ]
        done = [(arch, other) for other in complete if (arch := self._arch(other))]
        times = self._predict([arch for arch, _ in done]).tolist()
        return Known(
            scored=[
                Evaluation(arch, ms, other.values[0], overrun=self._overrun(arch))
                for (arch, other), ms in zip(done, times, strict=True)
            ],
            running=[arch for other in running if (arch := self._arch(other))],
            number=len(done) + sum(other.number < trial.number for other in running),
        )

    def _arch(self, trial: FrozenTrial) -> Arch | None:
        """The network of a trial; None where its parameters are not all drawn yet."""
        key = tuple(trial.params.items())
        if key not in self._archs:
            arch = self._genome.of_params(trial.params)
            if arch is None:
                return None
            self._archs[key] = arch
        return self._archs[key]
