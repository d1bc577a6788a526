"""A search of one run with everything open that networks are scored with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from nas.models import load_weights
from nas.runs.data import RunData
from nas.runs.folder import RunFolder
from nas.runs.supernet import load_supernet, open_calibration
from nas.search.estimate import Estimate
from nas.search.evaluator import SubnetEvaluator, average_pose, require_measured
from nas.search.judging import AccuracyJudge
from nas.search.loop import score_networks
from nas.search.origin import require_same_origin
from nas.search.preparation import Search
from nas.search.record import EvaluationCache, SearchRecord
from nas.search.samplers import HeadTurns, Prior, sampler_named
from nas.search.scoring import Scoring
from nas.search.stopping import EarlyStopping
from nas.search.study import choose_scoring, evaluation_key, open_record, storage_of
from nas.search.values import Evaluation, Scores
from nas.train.launch import launch


@dataclass(frozen=True)
class ScoringSession:
    """What the networks of one run are scored with, and where that is written down.

    Args:
        search: what was asked for.
        record: of everything scored.
        evaluator: scores as while searching.
        cache: of scores.
        average_pose: what the average pose scores.
        scoring: how networks are scored.
        judge: tells finalists apart.
    """

    search: Search
    record: SearchRecord
    evaluator: SubnetEvaluator
    cache: EvaluationCache
    average_pose: Scores
    scoring: Scoring
    judge: AccuracyJudge

    @classmethod
    def open(cls, search: Search, data: RunData, *, shared: bool = False) -> Self:
        """Of a search and its run's data; `shared` among workers, whose run folders must be alike.

        Raises UserError where the metric cannot be measured, or the folder is no copy of the other workers'.
        """
        run, settings = search.run, search.settings
        average = average_pose(data.split.train(data.sources), data.search)
        require_measured(settings.metric, average)
        of_all = open_evaluator(run, data)
        run.search_folder.mkdir(parents=True, exist_ok=True)
        storage = storage_of(run, settings)
        if shared:
            require_same_origin(run, storage)
        scoring = choose_scoring(run, search.space, settings, storage)
        evaluator = scoring.evaluator(of_all, settings.metric)
        thorough = scoring.thorough(of_all, settings.metric)
        cache = EvaluationCache(run.evaluations_file)
        return cls(
            search=search,
            record=open_record(search, scoring, storage),
            evaluator=evaluator,
            cache=cache,
            average_pose=average,
            scoring=scoring,
            judge=AccuracyJudge(evaluator, thorough, cache=cache, metric=settings.metric),
        )

    def scorer(self, estimate: Estimate, *, prior: Prior | None = None) -> Callable[..., list[Evaluation]]:
        """`score_networks` of this session, which lacks only how many; all times are by the estimate."""
        search, settings, record = self.search, self.search.settings, self.record
        overrun = search.overrun(estimate)
        record.use(estimate, predictor=estimate.source, overrun=overrun)
        kind = sampler_named(settings.sampler)
        make = partial(HeadTurns, kind) if settings.each_head and len(search.space.heads) > 1 else kind
        sampler = make(
            search.space,
            estimate.many,
            budgets_ms=search.budgets,
            seed=settings.seed,
            overrun=overrun,
            prior=prior,
        )
        evaluate = EarlyStopping(
            self.evaluator,
            metric=settings.metric,
            history=record.history,
            cost=estimate,
            finalists=settings.finalists,
            each_head=settings.each_head,
        )
        return partial(
            score_networks,
            sampler,
            evaluate,
            record=record,
            cache=self.cache,
            budgets_ms=search.budgets,
        )


def open_evaluator(run: RunFolder, data: RunData, *, weights: Path | None = None) -> SubnetEvaluator:
    """Scores networks of a run's supernet, or of other weights, on what the run keeps for the search."""
    config = run.config()
    fabric = launch(accelerator=config.accelerator, precision=config.precision, threads=config.threads)
    calibration = open_calibration(run, data)
    net = load_supernet(run) if weights is None else load_weights(weights)
    return SubnetEvaluator(
        net.to(fabric.device),
        calibration,
        data.search,
        key=evaluation_key(run, weights),
    )
