"""What a search has found out: an Optuna study, and every evaluation as a JSON line."""

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from nas.errors import UserError
from nas.files import append_row, read_rows
from nas.search.limits import Overrun, no_overrun
from nas.search.samplers import ArchSampler, index_distributions
from nas.search.values import Cost, Evaluation, Scores
from nas.space import Arch, ArchManager, SearchSpace

_log = logging.getLogger(__name__)


class EvaluationCache:
    """Scores by architecture and by what they were scored with (weights, images): never asked for twice.

    Args:
        path: JSON lines, append-only; a last line that a killed process left unfinished is passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._scores: dict[tuple[str, str], Scores] = {}
        if path.is_file():
            for _, row in read_rows(path, strict=False):
                self._take(row)

    def get(self, key: str, arch: Arch) -> Scores | None:
        """What is known of an architecture under a key; None where it was not scored."""
        return self._scores.get((key, arch.id))

    def add(self, key: str, arch: Arch, scores: Scores) -> None:
        """Append one evaluation."""
        row = {"key": key, "id": arch.id, "scores": dict(scores), "arch": arch.to_json()}
        append_row(self.path, row, kept="what was scored before is kept")
        self._scores[key, arch.id] = scores

    def _take(self, row: Mapping[str, Any]) -> None:
        try:
            self._scores[row["key"], row["id"]] = row["scores"]
        except (KeyError, TypeError):
            _log.warning("%s: a line that is no evaluation is passed over", self.path)


class SearchRecord:
    """The trials of one search space under one key, kept in an Optuna study.

    All searches with the same weights, images and metric share the study, whatever their budgets, and learn
    from each other. Optuna's tools (dashboard, importance, plots) can open it.

    Args:
        space: the search space.
        storage: an Optuna storage URL, such as `sqlite:///...`.
        key: digest of the weights and images that networks are scored with.
        metric: the score that is searched for.
        cost: predicted ms; applied afresh, since a predictor may have been refitted.
        overrun: of the limits of this search, applied afresh as well.
        limits: these limits by name.
        predictor: digest of what predicts; kept with every trial.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        storage: str,
        key: str,
        metric: str,
        cost: Cost,
        predictor: str = "",
        overrun: Overrun = no_overrun,
        limits: Mapping[str, float] | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self.metric = metric
        self._cost = cost
        self._predictor = predictor
        self._overrun = overrun
        self._limits = dict(limits or {})
        self._arch = cache(_parse_arch)
        self._distributions = index_distributions(space)
        try:
            self._study = optuna.create_study(
                storage=storage,
                study_name=f"{space.name} {metric} {key}",
                directions=["maximize", "minimize"],
                load_if_exists=True,
            )
        except (optuna.exceptions.StorageInternalError, SQLAlchemyError, ImportError, ValueError) as error:
            raise UserError(f"cannot open the study in {_shown(storage)}: {error}") from None

    @property
    def name(self) -> str:
        """The study's name in its storage."""
        return self._study.study_name

    def use(self, cost: Cost, *, predictor: str, overrun: Overrun = no_overrun) -> None:
        """From now on take times from another predictor; those of former trials too."""
        self._cost = cost
        self._predictor = predictor
        self._overrun = overrun

    def history(self) -> list[Evaluation]:
        """Every network scored so far, in order, with times by the present predictor."""
        return [self._evaluation(trial) for trial in self._trials()]

    def count(self, budgets_ms: Sequence[float]) -> int:
        """How many networks were scored by searches for exactly these budgets and this search's limits."""
        wanted = list(budgets_ms), self._limits
        return sum(
            (trial.user_attrs.get("budgets_ms"), trial.user_attrs.get("limits", {})) == wanted
            for trial in self._trials()
        )

    def ask(self, sampler: ArchSampler) -> Arch:
        """The network that a sampler wants scored next. Raises NothingLeftError where there is none."""
        trial = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
        trial.number = len(self._study.get_trials(deepcopy=False))
        asked = sampler.infer_relative_search_space(self._study, trial)
        return sampler.arch(sampler.sample_relative(self._study, trial, asked))

    def add(self, arch: Arch, scores: Scores, *, budgets_ms: Sequence[float], sampler: str) -> Evaluation:
        """Keep one scored network and what drew it; over the largest budget it counts as infeasible."""
        item = Evaluation(arch, self._cost(arch), scores[self.metric], scores)
        params = {
            name: index
            for name, index in ArchManager(self._space).encode(arch).items()
            if name in self._distributions
        }
        self._study.add_trial(
            optuna.create_trial(
                values=[item.accuracy, item.predicted_ms],
                params=params,
                distributions={name: self._distributions[name] for name in params},
                user_attrs={
                    "arch": json.dumps(arch.to_json()),
                    "scores": dict(scores),
                    "sampler": sampler,
                    "predictor": self._predictor,
                    "budgets_ms": list(budgets_ms),
                    "limits": self._limits,
                },
                constraints={"ms over the largest budget": item.predicted_ms - max(budgets_ms)},
            )
        )
        return item

    def _trials(self) -> list[optuna.trial.FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))

    def _evaluation(self, trial: optuna.trial.FrozenTrial) -> Evaluation:
        arch = self._arch(trial.user_attrs["arch"])
        scores: dict[str, Any] = trial.user_attrs["scores"]
        return Evaluation(arch, self._cost(arch), scores[self.metric], scores, self._overrun(arch))


def sqlite_url(path: Path) -> str:
    """The storage URL of a database file, whatever its path holds."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def _shown(storage: str) -> str:
    """A storage URL without its password."""
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return "the given storage (no URL such as sqlite:///study.db)"


def _parse_arch(text: str) -> Arch:
    return Arch.from_json(json.loads(text))
