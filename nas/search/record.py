"""What a search has found out: an Optuna study, and every evaluation as a JSON line."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.files import append_row, read_rows
from nas.locks import taking_turns
from nas.search.claims import LIVE, Claims
from nas.search.limits import Overrun, no_overrun
from nas.search.samplers import ArchSampler, index_distributions
from nas.search.storage import open_storage
from nas.search.values import Cost, Evaluation, Scores
from nas.space import Arch, ArchManager, SearchSpace

_log = logging.getLogger(__name__)

ORIGIN = "origin"
"""The attribute of a study that says what its networks are scored with."""


class EvaluationCache:
    """Scores by architecture and by what they were scored with (weights, images): never asked for twice.

    Several processes may use one file.

    Args:
        path: JSON lines, append-only; a last line that a killed process left unfinished is passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._scores: dict[tuple[str, str], Scores] = {}
        self._known_size = 0
        self._read()

    def get(self, key: str, arch: Arch) -> Scores | None:
        """What is known of an architecture under a key; None where it was not scored."""
        if (key, arch.id) not in self._scores:
            self._read()
        return self._scores.get((key, arch.id))

    def add(self, key: str, arch: Arch, scores: Scores) -> None:
        """Append one evaluation."""
        row = {"key": key, "id": arch.id, "scores": dict(scores), "arch": arch.to_json()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with taking_turns(self.path.with_name(f".{self.path.name}.lock")):
            alone = self._size() == self._known_size
            append_row(self.path, row, kept="what was scored before is kept")
            self._known_size = self._size() if alone else self._known_size
        self._scores[key, arch.id] = scores

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def _read(self) -> None:
        """Whatever there is that is not known, of other processes as well."""
        if (size := self._size()) == self._known_size:
            return
        for _, row in read_rows(self.path, strict=False):
            self._take(row)
        self._known_size = size

    def _take(self, row: Mapping[str, Any]) -> None:
        try:
            self._scores[row["key"], row["id"]] = row["scores"]
        except (KeyError, TypeError):
            _log.warning("%s: a line that is no evaluation is passed over", self.path)


@dataclass(frozen=True)
class Claim:
    """A network that this process scores, and nobody else meanwhile.

    Args:
        arch: the network.
        number: of its trial.
    """

    arch: Arch
    number: int


class SearchRecord:
    """The trials of one search space under one key, kept in an Optuna study.

    All searches with the same weights, images and metric share the study, whatever their budgets, and learn
    from each other, be it at the same time: no network is scored by two of them. Optuna's tools (dashboard,
    importance, plots) can open it.

    Args:
        space: the search space.
        storage: an Optuna storage URL, such as `sqlite:///...`.
        key: digest of the weights and images that networks are scored with.
        metric: the score that is searched for.
        cost: predicted ms; applied afresh, since a predictor may have been refitted.
        overrun: of the limits of this search, applied afresh as well.
        limits: these limits by name.
        predictor: digest of what predicts; kept with every trial.
        origin: what networks are scored with, by name; kept with the study.
        device: that networks are scored for, where it is not the run's own: such are counted apart.
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
        origin: Mapping[str, str] | None = None,
        device: str | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self.metric = metric
        self._cost = cost
        self._predictor = predictor
        self._overrun = overrun
        self._limits = dict(limits or {})
        self._device = device
        self._arch = cache(_parse_arch)
        self._distributions = index_distributions(space)
        name = study_name(space, metric=metric, key=key)
        self._claims = Claims(open_storage(storage), name, directions=("maximize", "minimize"))
        if origin:
            self._claims.study.set_user_attr(ORIGIN, dict(origin))

    @property
    def name(self) -> str:
        """The study's name in its storage."""
        return self._claims.study.study_name

    def use(self, cost: Cost, *, predictor: str, overrun: Overrun = no_overrun) -> None:
        """From now on take times from another predictor; those of former trials too."""
        self._cost = cost
        self._predictor = predictor
        self._overrun = overrun

    def history(self) -> list[Evaluation]:
        """Every network scored so far, in order, with times by the present predictor."""
        return [self._evaluation(trial) for trial in self._claims.trials(TrialState.COMPLETE)]

    def count(self, budgets_ms: Sequence[float]) -> int:
        """How many networks were scored for exactly these budgets and this search's limits and device."""
        return len(self._of(budgets_ms, self._claims.trials(TrialState.COMPLETE)))

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        """Plain data that the study keeps under a name; made where it keeps none yet."""
        study = self._claims.study
        if name not in study.user_attrs:
            study.set_user_attr(name, make())
        return study.user_attrs[name]

    @property
    def is_in_work(self) -> bool:
        """Whether networks are being scored, by whomever."""
        return any(True for _ in self._archs(self._claims.trials(TrialState.RUNNING)))

    def claim(self, sampler: ArchSampler, *, budgets_ms: Sequence[float], most: int) -> Claim | None:
        """A network to score: one that a process left behind which is gone, else the sampler's next.

        Args:
            sampler: what draws.
            budgets_ms: of the search.
            most: so many networks may be scored for these budgets, those in work included.

        Returns:
            None where so many are scored or in work.

        Raises:
            NothingLeftError: the sampler has none.
        """
        self._claims.fail_dead()
        while len(self._of(budgets_ms, self._claims.trials(*LIVE))) < most:
            left = self._left(budgets_ms)
            arch, by = left or (self._draw(sampler), sampler.name)
            claim = Claim(arch, self._store(arch, budgets_ms, by))
            if self._is_first(claim, budgets_ms, most):
                return claim
            self._claims.give_back(claim.number)
        return None

    def held(self, claim: Claim) -> AbstractContextManager[None]:
        """Within, others know that the network is being scored; where that fails, it is left to others."""
        return self._claims.held(claim.number)

    def tell(self, claim: Claim, scores: Scores) -> Evaluation | None:
        """Keep what a claimed network scored; None where this process counted as gone and lost its claim."""
        item = Evaluation.of(claim.arch, self._cost(claim.arch), scores, metric=self.metric)
        values = [item.accuracy, item.predicted_ms]
        return item if self._claims.end(claim.number, values, scores=dict(scores)) else None

    def _draw(self, sampler: ArchSampler) -> Arch:
        trial = optuna.trial.create_trial(state=TrialState.RUNNING)
        trial.number = len(self._claims.trials())
        study = self._claims.study
        asked = sampler.infer_relative_search_space(study, trial)
        return sampler.arch(sampler.sample_relative(study, trial, asked))

    def _left(self, budgets_ms: Sequence[float]) -> tuple[Arch, str] | None:
        """The first network that was claimed for these budgets and by now is nobody's, and what drew it."""
        taken = {arch for _, arch in self._archs(self._claims.trials(*LIVE))}
        for trial, arch in self._archs(self._of(budgets_ms, self._claims.trials(TrialState.FAIL))):
            # The predictor may be another one since.
            if arch not in taken and self._cost(arch) <= max(budgets_ms) and self._overrun(arch) == 0:
                return arch, trial.user_attrs["sampler"]
        return None

    def _store(self, arch: Arch, budgets_ms: Sequence[float], sampler: str) -> int:
        """Claim a network; over the largest budget it counts as infeasible."""
        indices = ArchManager(self._space).encode(arch)
        names = [name for name in indices if name in self._distributions]
        return self._claims.take(
            {
                "arch": json.dumps(arch.to_json()),
                "sampler": sampler,
                "predictor": self._predictor,
                "budgets_ms": list(budgets_ms),
                "limits": self._limits,
                **({"device": self._device} if self._device else {}),
            },
            params={name: indices[name] for name in names},
            distributions={name: self._distributions[name] for name in names},
            constraints={"ms over the largest budget": self._cost(arch) - max(budgets_ms)},
        )

    def _is_first(self, claim: Claim, budgets_ms: Sequence[float], most: int) -> bool:
        """Whether no earlier claim is of the same network, and not too many are earlier."""
        earlier = [trial for trial in self._claims.trials(*LIVE) if trial.number < claim.number]
        others = {arch for _, arch in self._archs(earlier)}
        return claim.arch not in others and len(self._of(budgets_ms, earlier)) < most

    def _of(self, budgets_ms: Sequence[float], trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        wanted = {"budgets_ms": list(budgets_ms), "limits": self._limits, "device": self._device}
        others: dict[str, Any] = {"budgets_ms": None, "limits": {}, "device": None}
        return [
            trial
            for trial in trials
            if {name: trial.user_attrs.get(name, other) for name, other in others.items()} == wanted
        ]

    def _archs(self, trials: Sequence[FrozenTrial]) -> Iterator[tuple[FrozenTrial, Arch]]:
        """Trials that are of this project with their networks."""
        for trial in trials:
            if "arch" in trial.user_attrs:
                yield trial, self._arch(trial.user_attrs["arch"])

    def _evaluation(self, trial: FrozenTrial) -> Evaluation:
        arch = self._arch(trial.user_attrs["arch"])
        return Evaluation.of(
            arch,
            self._cost(arch),
            trial.user_attrs["scores"],
            metric=self.metric,
            overrun=self._overrun(arch),
        )


def study_name(space: SearchSpace, *, metric: str, key: str) -> str:
    """What the study of a space, a metric and a key is called."""
    return f"{space.name} {metric} {key}"


def _parse_arch(text: str) -> Arch:
    return Arch.from_json(json.loads(text))
