"""Which network to score next.

Time is free to ask and accuracy is expensive, so a proposal never leaves here before its predicted time is
within the budget it aims at: it is moved along random dimensions until it lies in a band just below the
budget, where the best network of a budget is. Three sources take turns: a surrogate of accuracy that picks
among many such networks, children of the best networks so far, and Optuna's TPE with the budget as its
constraint.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import optuna

from nas.search.limits import Overrun, no_overrun
from nas.search.pareto import within
from nas.search.surrogate import Surrogate
from nas.search.values import Cost, Evaluation
from nas.space import Arch, ArchManager, SearchSpace

BAND = 0.8
"""A proposal's predicted time lies between this share of its budget and the budget."""
_ORIGINS = ("surrogate", "evolution", "tpe")
_PARENTS = 8
_CANDIDATES = 40
_ATTEMPTS = 50
_STEPS = 400
# With further limits, so many steps without progress say that the band is out of their reach.
_PATIENCE = 40
_INSIDE = (0.0, 0.0)

Indices = dict[str, int]


@dataclass(frozen=True)
class Proposal:
    """A network to score: the budget it aims at, its predicted time, and what drew it."""

    arch: Arch
    budget_ms: float
    predicted_ms: float
    origin: str


class NothingLeftError(Exception):
    """No network within the budgets is left that was not scored already."""


def index_distributions(space: SearchSpace) -> dict[str, optuna.distributions.BaseDistribution]:
    """Every elastic dimension as the index of its choice: choices are ordered, so nearness has a meaning."""
    return {
        dimension.name: optuna.distributions.IntDistribution(0, len(dimension.choices) - 1)
        for dimension in space.dimensions
        if dimension.elastic
    }


class Proposer:
    """Draws proposals as a function of (seed, number, history) alone, so that a resumed search goes on alike.

    Args:
        space: the search space.
        cost: predicted ms of an architecture.
        budgets_ms: aimed at in turn.
        seed: of every draw.
        startup: so many proposals are random before any is modelled.
        overrun: of further limits; a proposal keeps them.
    """

    def __init__(
        self,
        space: SearchSpace,
        cost: Cost,
        *,
        budgets_ms: Sequence[float],
        seed: int,
        startup: int = 10,
        overrun: Overrun = no_overrun,
    ) -> None:
        self._manager = ArchManager(space)
        self._cost = cost
        self._budgets = tuple(budgets_ms)
        self._seed = seed
        self._startup = startup
        self._overrun = overrun
        self._patience = _STEPS if overrun is no_overrun else _PATIENCE
        self._sizes = {dimension.name: len(dimension.choices) for dimension in space.dimensions}
        self._open = tuple(name for name, size in self._sizes.items() if size > 1)
        self._distributions = index_distributions(space)
        most_expensive = max(cost(self._manager.largest(head=head)) for head in space.heads)
        self._lowest = {budget: BAND * min(budget, most_expensive) for budget in self._budgets}

    def __call__(self, number: int, history: Sequence[Evaluation]) -> Proposal:
        """Proposal `number`, given what was scored before.

        Raises:
            NothingLeftError: no new network within the budget was found.
        """
        rng = np.random.default_rng((self._seed, number))
        budget = self._budgets[number % len(self._budgets)]
        origin = self._origin(number // len(self._budgets), within(history, budget))
        seen = {item.arch.id for item in history}
        if origin == "surrogate":
            arch = self._pick_by_surrogate(budget, history, seen, rng)
        else:
            arch = self._move_into_band(self._draw(origin, budget, history, rng), budget, seen, rng)
        for _ in range(_ATTEMPTS):
            if arch is not None:
                return Proposal(arch, budget, self._cost(arch), origin)
            origin = "random"
            arch = self._move_into_band(self._draw(origin, budget, history, rng), budget, seen, rng)
        raise NothingLeftError(f"no further network within {budget:g} ms was found")

    def anchors(self) -> list[Proposal]:
        """What is scored first, where a budget allows: published, smallest and largest of every head."""
        named = {arch: name for name, arch in self._manager.space.published().items()}
        for head in self._manager.space.heads:
            named.setdefault(self._manager.smallest(head=head), "smallest")
            named.setdefault(self._manager.largest(head=head), "largest")
        proposals = []
        for arch, name in named.items():
            predicted = self._cost(arch)
            allowed = self._overrun(arch) == 0
            fitting = [budget for budget in self._budgets if predicted <= budget and allowed]
            if fitting:
                proposals.append(Proposal(arch, fitting[0], predicted, name))
        return proposals

    def _origin(self, turn: int, fitting: Sequence[Evaluation]) -> str:
        if turn < self._startup // len(self._budgets) or len(fitting) < 2:
            return "random"
        return _ORIGINS[turn % len(_ORIGINS)]

    def _pick_by_surrogate(
        self, budget: float, history: Sequence[Evaluation], seen: Collection[str], rng: np.random.Generator
    ) -> Arch | None:
        surrogate = Surrogate(self._manager.space, history, rng)
        sources = [("evolution", "random")[number % 2] for number in range(_CANDIDATES)]
        drawn = (
            self._move_into_band(self._draw(source, budget, history, rng), budget, seen, rng)
            for source in sources
        )
        return max((arch for arch in drawn if arch is not None), key=surrogate, default=None)

    def _draw(
        self, origin: str, budget: float, history: Sequence[Evaluation], rng: np.random.Generator
    ) -> Indices:
        if origin == "tpe":
            return self._ask_tpe(budget, history, rng)
        if origin == "evolution":
            return self._complete(self._child(within(history, budget)[:_PARENTS], rng), rng)
        return self._complete(self._manager.sample(rng), rng)

    def _child(self, parents: Sequence[Evaluation], rng: np.random.Generator) -> Arch:
        one, two = (parents[int(i)].arch for i in rng.choice(len(parents), size=2, replace=False))
        mixed = self._manager.crossover(one, two, rng) if rng.random() < 0.5 else one
        return self._manager.mutate(mixed, rng, rate=0.1)

    def _ask_tpe(self, budget: float, history: Sequence[Evaluation], rng: np.random.Generator) -> Indices:
        # The model is built afresh in memory: it is a function of the history, whatever the study's storage.
        sampler = optuna.samplers.TPESampler(seed=int(rng.integers(2**31)), n_startup_trials=0)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for item in history:
            study.add_trial(self._scored_trial(item, budget))
        asked = study.ask(dict(self._distributions)).params
        return {name: int(index) for name, index in asked.items()}

    def _scored_trial(self, item: Evaluation, budget: float) -> optuna.trial.FrozenTrial:
        """A scored network as a finished trial, infeasible by what it is over the budget and the limits."""
        params = {
            name: i for name, i in self._manager.encode(item.arch).items() if name in self._distributions
        }
        return optuna.create_trial(
            value=item.accuracy,
            params=params,
            distributions={name: self._distributions[name] for name in params},
            constraints={
                "ms over budget": item.predicted_ms - budget,
                "share over limits": item.overrun,
            },
        )

    def _move_into_band(
        self, indices: Indices, budget: float, seen: Collection[str], rng: np.random.Generator
    ) -> Arch | None:
        """Change one dimension at a time by one choice until the network is new and in the band."""
        indices = {**dict.fromkeys(self._sizes, 0), **indices}
        arch = self._manager.decode(indices)
        away, idle = self._away(arch, budget), 0
        for _ in range(_STEPS):
            usable = self._overrun(arch) == 0 and self._cost(arch) <= budget and arch.id not in seen
            if usable and (away == _INSIDE or idle >= self._patience):
                return arch
            moved = self._step(indices, rng)
            candidate = self._manager.decode(moved)
            changed = self._away(candidate, budget)
            idle = 0 if changed < away else idle + 1
            if away == _INSIDE or changed <= away:
                indices, arch, away = moved, candidate, changed
        # A space may hold nothing in the band: whatever fits the budget and is new is then good enough.
        usable = self._overrun(arch) == 0 and self._cost(arch) <= budget and arch.id not in seen
        return arch if usable else None

    def _step(self, indices: Indices, rng: np.random.Generator) -> Indices:
        if not self._open:
            return indices
        name = self._open[int(rng.integers(len(self._open)))]
        index = indices[name] + (1 if rng.random() < 0.5 else -1)
        return {**indices, name: min(max(index, 0), self._sizes[name] - 1)}

    def _away(self, arch: Arch, budget: float) -> tuple[float, float]:
        """How far a network is over the limits, and how far its predicted time lies outside the band, in ms.

        The limits come first: what is cheap enough for them may lie below the band.
        """
        cost = self._cost(arch)
        return self._overrun(arch), max(cost - budget, self._lowest[budget] - cost, 0.0)

    def _complete(self, arch: Arch, rng: np.random.Generator) -> Indices:
        """The arch's indices, and random ones for what it leaves inactive."""
        random = {name: int(rng.integers(size)) for name, size in self._sizes.items()}
        return random | dict(self._manager.encode(arch))
