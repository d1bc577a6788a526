"""Active refinement: networks measured during a search, by which its latency predictor is fitted anew.

Every round lies in one JSON file: first what is to be measured and what was predicted of it, afterwards what
was measured and the predictor that came of it. A killed search finds the round begun, makes the visits that
the latency table does not hold yet, and goes on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from nas.digests import digest_files
from nas.errors import UserError
from nas.files import write_json
from nas.latency import LatencyPredictor
from nas.latency.uncertainty import load_allowance
from nas.search.choice import choose_networks
from nas.search.estimate import Estimate
from nas.search.measuring import Bench
from nas.search.values import Evaluation, Interval
from nas.space import Arch
from nas.timing import Timing

ROUNDS = 3
"""After each third of the trials: the first corrects the proposals, the last is for the finals."""

Refit = Callable[[], LatencyPredictor]


@dataclass(frozen=True)
class RefinementNetwork:
    """A network that was measured to refine: what was predicted before, in ms, of it once with decode.

    Args:
        arch: id.
        architecture: as JSON.
        predicted_ms, low_ms, high_ms: before it was measured; the interval is the wider for load meanwhile.
        measured_ms: None as long as it was not measured.
        loaded: whether others used the processor meanwhile.
    """

    arch: str
    architecture: Mapping[str, Any]
    predicted_ms: float
    low_ms: float
    high_ms: float
    measured_ms: float | None = None
    loaded: bool = False

    def with_timing(self, timing: Timing) -> "RefinementNetwork":
        """After measuring."""
        interval = Interval(self.predicted_ms, self.low_ms, self.high_ms)
        return replace(
            self,
            **vars(interval.under_load(load_allowance([timing]))),
            measured_ms=timing.measured_ms,
            loaded=timing.loaded,
        )


@dataclass(frozen=True)
class RefinementRound:
    """One batch of measured networks, and the predictor fitted with them.

    Args:
        scored: how many networks had been scored.
        wanted: of the whole search, as asked for.
        before: digest of the predictor that the predictions come from.
        networks: what was measured.
        after: digest of the refitted predictor; None while the round is not finished.
        predictor: its file's name.
    """

    scored: int
    wanted: int
    before: str
    networks: tuple[RefinementNetwork, ...]
    after: str | None = None
    predictor: str | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`."""
        networks = tuple(RefinementNetwork(**network) for network in values["networks"])
        return cls(**{**values, "networks": networks})


class Refinement:
    """Measures up to so many networks during one search, and refits its predictor with them.

    Args:
        base: by the predictor that the search was given; its file is never written.
        file: JSON, what was done so far; rounds of another study, predictor or budgets in it are left alone.
        study: name of the search's study.
        budgets_ms: of the search.
        wanted: most networks to measure.
        bench: measures into the latency table.
        refit: a predictor fitted on that table as it is.
    """

    def __init__(
        self,
        base: Estimate,
        *,
        file: Path,
        study: str,
        budgets_ms: Sequence[float],
        wanted: int,
        bench: Bench,
        refit: Refit,
    ) -> None:
        self._base = base
        self._file = file
        self._of = {"study": study, "predictor": base.source, "budgets_ms": list(budgets_ms)}
        self._budgets = tuple(budgets_ms)
        self._wanted = wanted
        self._bench = bench
        self._refit = refit
        self.rounds = self._read()

    def milestones(self, trials: int) -> tuple[int, ...]:
        """After how many scored networks a round is due, at most `ROUNDS` of them."""
        count = min(ROUNDS, self._wanted)
        return tuple(-(-trials * number // count) for number in range(1, count + 1))

    def estimate(self) -> Estimate:
        """By the latest refitted predictor, or the given one."""
        finished = [done for done in self.rounds if done.after is not None]
        if not finished:
            return self._base
        name, digest = str(finished[-1].predictor), str(finished[-1].after)
        path = self._file.with_name(name)
        if not path.is_file():
            raise UserError(
                f"{path} is missing, which a former search with `refine` wrote; put it back, or remove "
                f"{self._file} to refine anew"
            )
        return self._base.with_predictor(LatencyPredictor.load(path), digest)

    def __call__(self, history: Sequence[Evaluation], *, scored: int, trials: int) -> Estimate:
        """The round that is due after so many of all trials, where one is; the estimate to go on with."""
        if self.rounds and self.rounds[-1].after is None:
            self._finish(self.rounds.pop())
        size = self._size(scored, trials)
        if size > 0:
            begun = self._begin(history, scored=scored, size=size)
            if begun.networks:
                self._finish(begun)
        return self.estimate()

    def to_json(self) -> list[dict[str, Any]]:
        """Every finished round, without the architectures."""
        rounds = [asdict(done) for done in self.rounds if done.after is not None]
        for values in rounds:
            for network in values["networks"]:
                del network["architecture"]
        return rounds

    def _size(self, scored: int, trials: int) -> int:
        """How many networks to measure now: what is left, spread over the milestones to come."""
        left = self._wanted - sum(len(done.networks) for done in self.rounds)
        last = self.rounds[-1] if self.rounds else None
        more = scored >= trials and last is not None and self._wanted > last.wanted
        if last is not None and scored <= last.scored and not more:
            return 0
        to_come = sum(milestone >= scored for milestone in self.milestones(trials))
        return -(-left // max(to_come, 1))

    def _begin(self, history: Sequence[Evaluation], *, scored: int, size: int) -> RefinementRound:
        """Choose networks, and keep what is predicted of them before they are measured."""
        estimate = self.estimate()
        chosen = choose_networks(
            history,
            self._budgets,
            count=size,
            interval=estimate.interval,
            unmeasured=self._bench.unmeasured,
        )
        tried = tuple(
            RefinementNetwork(item.arch.id, item.arch.to_json(), **vars(estimate.network_interval(item.arch)))
            for item in chosen
        )
        begun = RefinementRound(scored, self._wanted, estimate.source, tried)
        if tried:
            self._write([*self.rounds, begun])
        return begun

    def _finish(self, begun: RefinementRound) -> None:
        """Measure what is not in the table yet, refit, and keep both."""
        timings = self._bench([Arch.from_json(dict(network.architecture)) for network in begun.networks])
        predictor = self._refit()
        latest = self._file.with_name(".predictor.json")
        predictor.save(latest)
        digest = digest_files(latest)
        name = f"predictor-{digest}.json"
        latest.replace(self._file.with_name(name))
        networks = tuple(n.with_timing(t) for n, t in zip(begun.networks, timings, strict=True))
        self.rounds.append(replace(begun, networks=networks, after=digest, predictor=name))
        self._write(self.rounds)

    def _read(self) -> list[RefinementRound]:
        mine = next((search for search in self._searches() if _of(search) == self._of), None)
        return [RefinementRound.from_json(values) for values in mine["rounds"]] if mine else []

    def _write(self, rounds: Sequence[RefinementRound]) -> None:
        others = [search for search in self._searches() if _of(search) != self._of]
        mine = {**self._of, "rounds": [asdict(done) for done in rounds]}
        write_json(self._file, {"searches": [*others, mine]})

    def _searches(self) -> list[dict[str, Any]]:
        if not self._file.is_file():
            return []
        try:
            searches: list[dict[str, Any]] = json.loads(self._file.read_text(encoding="utf-8"))["searches"]
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(
                f"{self._file}: not the record of refinements; remove it to refine anew"
            ) from None
        return searches


def _of(search: Mapping[str, Any]) -> dict[str, Any]:
    return {name: search.get(name) for name in ("study", "predictor", "budgets_ms")}
