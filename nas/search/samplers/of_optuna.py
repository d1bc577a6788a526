"""Optuna's own samplers, within hard budgets.

Each is asked about a study in memory, which mirrors what the real one knows that is within the budgets and
limits: so what it draws is a function of the history, whatever the storage, and no time of a former predictor
is in it. What it draws is moved within the largest budget before it is scored.
"""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.search.samplers.base import ArchSampler, Known
from nas.search.values import Evaluation
from nas.space import Arch

POPULATION = 40


class OptunaSampler(ArchSampler):
    """Asks another sampler, which knows no budget."""

    _mirror: optuna.Study | None = None
    _mirrored: Sequence[Evaluation] = ()

    @abstractmethod
    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """The other sampler, made anew for every draw."""

    def _propose(self, known: Known, rng: np.random.Generator) -> Arch:
        study = self._mirror_of(known)
        study.sampler = self._sampler(int(rng.integers(2**31)))
        for arch in known.running:
            study.add_trial(self._trial(arch, None))
        params = study.ask(dict(self.distributions)).params
        # What was for this draw alone is failed: samplers look past failed trials.
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
        genes = np.array([params[name] for name in self._genome.names], np.int64)
        return self._moved(genes, known, rng)

    def _mirror_of(self, known: Known) -> optuna.Study:
        """The study in memory; one that is a beginning of what is known now is gone on with."""
        usable = [item for item in known.scored if self._is_usable(item)]
        if self._mirror is None or usable[: len(self._mirrored)] != self._mirrored:
            self._mirror = optuna.create_study(directions=["maximize", "minimize"])
            self._mirrored = []
        for item in usable[len(self._mirrored) :]:
            # Rounded: a prediction's last digit depends on what else was asked with it.
            self._mirror.add_trial(self._trial(item.arch, [item.accuracy, round(item.predicted_ms, 9)]))
        self._mirrored = usable
        return self._mirror

    def _trial(self, arch: Arch, values: list[float] | None) -> FrozenTrial:
        return optuna.trial.create_trial(
            state=TrialState.RUNNING if values is None else TrialState.COMPLETE,
            values=values,
            params=self._genome.params(arch),
            distributions=self.distributions,
        )


class OptunaTpe(OptunaSampler):
    """Tree-structured Parzen estimator of both objectives, of all dimensions jointly."""

    name = "tpe"

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.TPESampler(seed=seed, multivariate=True)


class OptunaGp(OptunaSampler):
    """Optuna's Gaussian process, with the expected gain of hypervolume; needs about a second a draw."""

    name = "gp"

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.GPSampler(seed=seed)


class OptunaNsga2(OptunaSampler):
    """NSGA-II with generations of 40."""

    name = "nsga2"

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        return _Nsga2ByOrder(population_size=POPULATION, seed=seed)


class _Nsga2ByOrder(optuna.samplers.NSGAIISampler):
    """NSGA-II whose generations are so many trials after each other, not what a storage holds of them."""

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        return len(_complete(study)) // POPULATION

    def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return _complete(study)[generation * POPULATION : (generation + 1) * POPULATION]

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """In one order, whether they are chosen now or were before: the draw of two of them depends on it."""
        return sorted(super().get_parent_population(study, generation), key=lambda trial: trial.number)


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
