"""Choosing the subnet of each budget: finalists measured and told apart; by prediction for another device."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nas.search.drift import References
from nas.search.estimate import Estimate
from nas.search.finalists import Finals, measure_finalists
from nas.search.measuring import Bench, fitted_networks
from nas.search.pareto import whole, within
from nas.search.preparation import Search
from nas.search.results import LatencyPrediction, SearchResult, Subnet, former_measurements
from nas.search.settling import Judge, most_accurate, settle
from nas.search.side_by_side import FinalistTimer
from nas.search.values import Evaluation
from nas.space import Arch


def choose_subnets(
    search: Search,
    estimate: Estimate,
    history: Sequence[Evaluation],
    judge: Judge,
    facts: Mapping[str, Any],
) -> SearchResult:
    """The winner of each budget.

    Args:
        search: budgets and bench.
        estimate: of milliseconds.
        history: everything scored.
        judge: tells finalists apart.
        facts: what was searched with, for the result.
    """
    if search.bench is None:
        known = whole(history)
        tops = [(budget, within(known, budget)[: search.settings.finalists]) for budget in search.budgets]
        subnets = tuple(
            Subnet(budget, best, None, _predicted(estimate, best.arch), tied=tied)
            for budget, top in tops
            if top
            for best, tied in [most_accurate(top, judge)]
        )
        unmet = tuple(budget for budget, top in tops if not top)
        return SearchResult(subnets, unmet, (), tuple(history), facts)
    finals = _finals(search, search.bench, history, judge, facts)
    fitted = fitted_networks(search.table, estimate.predictor)
    predicted = {
        finalist.item.arch.id: _predicted(estimate, finalist.item.arch, fitted=fitted)
        for finalist in finals.measured
    }
    won = [(budget, finals.winners[budget]) for budget in search.budgets]
    return SearchResult(
        subnets=tuple(
            Subnet(
                budget,
                top.item,
                top.measured,
                predicted[top.item.arch.id],
                tied=finals.tied.get(budget, ()),
            )
            for budget, top in won
            if top is not None
        ),
        unmet_ms=tuple(budget for budget, top in won if top is None),
        measured=finals.measured,
        history=tuple(history),
        facts=facts,
        predicted=predicted,
    )


def _finals(
    search: Search,
    bench: Bench,
    history: Sequence[Evaluation],
    judge: Judge,
    facts: Mapping[str, Any],
) -> Finals:
    """Finalists, measured, and decided between where they are close."""
    timer = FinalistTimer(
        bench,
        References(search.table, search.base.predictor, bench),
        pays=search.base.end_to_end,
        detector=search.detector,
        former=former_measurements(search.place.file, facts),
    )
    settings = search.settings
    measured = measure_finalists(
        history,
        search.budgets,
        timer,
        per_budget=settings.finalists,
        limits=settings.limits,
        whole=judge.whole,
    )
    return settle(measured, judge, again=timer.again, limits=settings.limits)


def _predicted(estimate: Estimate, arch: Arch, *, fitted: Collection[str] = ()) -> LatencyPrediction:
    return LatencyPrediction(
        estimate.interval(arch), estimate.network_interval(arch), in_fit=arch.id in fitted
    )
