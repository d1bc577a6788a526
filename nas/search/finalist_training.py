"""Finalists that are trained on for a while: what is inherited does not compare between heads."""

from collections.abc import Sequence
from functools import cached_property

from rich.console import Console

from nas.errors import UserError
from nas.runs.config import FinetuneConfig
from nas.runs.data import RunData, open_data
from nas.runs.folder import RunFolder, load_finetune_config
from nas.runs.subnet_training import finalist_name
from nas.search.loop import scored
from nas.search.record import EvaluationCache
from nas.search.scoring import Scoring
from nas.search.session import open_evaluator
from nas.search.values import Evaluation
from nas.train.side_by_side import finetune_subnets


class FinalistTraining:
    """Trains networks of a run on from what they inherit, and scores them on the people kept for the search.

    They train side by side, each by one of the run's processes. What was trained is not trained again, and
    what was stopped goes on; weights lie in the run's `subnets`.

    Args:
        run: whose networks they are.
        images: that each is trained on for, by the run's recipe of fine-tuning.
        metric: that is searched for.
        console: where trainings show how far they are; None for nowhere.

    Raises:
        UserError: the recipe does not go with so many images.
    """

    def __init__(self, run: RunFolder, *, images: int, metric: str, console: Console | None = None) -> None:
        self._run = run
        self._images = images
        self._metric = metric
        self._console = console
        self._recipe: FinetuneConfig = load_finetune_config(run, [f"images={images}"])
        if self._recipe.search_split:
            raise UserError(
                "`train_finalists` scores on people that the recipe's finetune.search_split would train on: "
                "leave one of them out"
            )

    def __call__(self, items: Sequence[Evaluation]) -> list[Evaluation]:
        """The same networks, trained. Raises as `finetune_subnets` does."""
        subnets = {finalist_name(item.arch, self._images): item.arch for item in items}
        finetune_subnets(self._run, subnets, recipe=self._recipe, console=self._console)
        return list(map(self._scored, items))

    def _scored(self, item: Evaluation) -> Evaluation:
        weights = self._run.subnets_folder / f"{finalist_name(item.arch, self._images)}.safetensors"
        evaluator = Scoring().thorough(open_evaluator(self._run, self._data, weights=weights), self._metric)
        scores = scored(evaluator, item.arch, self._cache, metric=self._metric)
        return Evaluation.of(item.arch, item.predicted_ms, scores, metric=self._metric)

    @cached_property
    def _data(self) -> RunData:
        config = self._run.config()
        return open_data(config, config.load_space(), self._run)

    @cached_property
    def _cache(self) -> EvaluationCache:
        return EvaluationCache(self._run.evaluations_file)
