"""Diagnosing a run: picks networks, trains them alone, compares what they score with what they inherit."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.digests import digest_files, file_digest
from nas.errors import UserError
from nas.evaluate.metrics import require_metric
from nas.files import write_json
from nas.graph import Tracer
from nas.interrupt import Paused
from nas.latency import EndToEnd
from nas.locks import sole_process
from nas.progress import ProgressDisplay
from nas.runs.data import open_data
from nas.runs.folder import RunFolder
from nas.search.diagnosis.picking import PickedNetwork, pick_networks
from nas.search.diagnosis.plan import DiagnosisPlan, counts, lone_recipe, pick_rule, require_members
from nas.search.diagnosis.results import Figures, diagnosis_figures
from nas.search.diagnosis.settings import MINIMUM_NETWORKS, DiagnosisSettings
from nas.search.diagnosis.trainings import LoneTrainings
from nas.search.estimate import Estimate
from nas.search.evaluator import require_measured
from nas.search.loop import scored
from nas.search.preparation import load_predictor
from nas.search.record import EvaluationCache
from nas.search.session import open_evaluator
from nas.search.values import Scores
from nas.space import Skeleton
from nas.train.clock import Deadline

_log = logging.getLogger(__name__)

Publish = Callable[[RunFolder, Mapping[str, Any]], None]
"""Makes tables and pictures of figures, in the run's folder."""


def diagnose_run(
    run: Path | str | RunFolder,
    settings: DiagnosisSettings,
    *,
    console: Console | None = None,
    publish: Publish | None = None,
) -> Mapping[str, Any]:
    """How far the ranking by inherited accuracy can be trusted; goes on where a former call was stopped.

    Writes `diagnosis/diagnosis.json` into the run folder; its content is returned.

    Args:
        run: the folder of the trained supernet.
        settings: how many networks, and the like.
        console: where to show the progress of trainings.
        publish: called with what was found, also with a part of it where time is up.

    Raises:
        Paused: after `hours`; the same call goes on.
        UserError: no supernet; no predictor, or one of another device or skeleton; an unknown metric; too few
            networks; a diagnosis of another kind, space or data in the folder; another process in it.
        KeyboardInterrupt: after Ctrl-C, with a checkpoint written.
    """
    deadline = Deadline(settings.hours)
    settings.check()
    folder = RunFolder.open(run)
    folder.require_weights()
    require_metric(settings.metric, Skeleton.load(folder.config().skeleton))
    with sole_process(folder.diagnosis_folder):
        diagnosis = _Diagnosis(folder, settings)
        try:
            diagnosis.train(deadline, console)
        except Paused:
            if diagnosis.write(publish) is not None:
                _log.info("what is known so far: %s", folder.diagnosis_file)
            raise
        found = diagnosis.write(publish)
        assert found is not None, "all that was asked for is trained"
        return found


class _Diagnosis:
    """What the steps of a diagnosis share: the plan, and what is known of its networks."""

    def __init__(self, run: RunFolder, settings: DiagnosisSettings) -> None:
        self._run = run
        self._metric = settings.metric
        self._space = run.config().load_space()
        self._data = open_data(run.config(), self._space, run)
        file = run.diagnosis_folder / "plan.json"
        former = DiagnosisPlan.load(file)
        self._count, self._seeds = counts(settings, former)
        self._plan = self._extended(former, settings, file)
        self._plan.save(file)
        self._cache = EvaluationCache(run.diagnosis_folder / "evaluations.jsonl")
        self._inherited = self._inherit()
        self._trainings = LoneTrainings(run, self._data, self._plan.recipe, self._cache)

    def train(self, deadline: Deadline, console: Console | None) -> None:
        """Train and score what is not yet. Raises Paused."""
        order = [
            (network, seed) for seed in range(self._seeds) for network in self._plan.networks[: self._count]
        ]
        left = [pair for pair in order if self._alone(*pair) is None]
        images = self._plan.recipe.images or 0
        _log.info(
            "%d networks, %d seeds, %s images each: %d of %d trainings left",
            self._count, self._seeds, f"{images:,}", len(left), len(order),
        )  # fmt: skip
        with ProgressDisplay("trained alone", say=lambda line: _log.info("%s", line), every=0) as display:
            display.begin(len(order) - len(left), len(order))
            for done, (network, seed) in enumerate(left, start=len(order) - len(left) + 1):
                # One training is begun in any case, and takes a step: a part of no length gets on too.
                if deadline.left <= 0 and (network, seed) != left[0]:
                    _log.info(
                        "time is up: %d of %d trainings done; the same command goes on", done - 1, len(order)
                    )
                    raise Paused(f"diagnosis: after {done - 1} of {len(order)} trainings")
                scores = self._trainings.train(network.arch, seed, hours=deadline.hours_left, console=console)
                display.update(
                    done, note=f"{network.arch.id}, seed {seed}: {self._metric} {scores[self._metric]:.3f}"
                )

    def write(self, publish: Publish | None) -> Figures | None:
        """Write down what is known so far; None, and nothing, while that is too little to tell a ranking."""
        alone: dict[str, list[float]] = {}
        for network in self._plan.networks:
            for seed in range(self._plan.seeds):
                scores = self._alone(network, seed)
                if scores is None:
                    break
                alone.setdefault(network.arch.id, []).append(scores[self._metric])
        if len(alone) < MINIMUM_NETWORKS:
            return None
        plan = self._plan
        found = {
            "metric": self._metric,
            "space": self._space.name,
            "images": plan.recipe.images,
            "bin_width": plan.rule.bin_width,
            "weights": file_digest(self._run.weights_file)[:12],
            "predictor_digest": plan.predictor,
            "planned": {"networks": len(plan.networks), "seeds": plan.seeds},
            **diagnosis_figures(
                plan.networks, {name: scores[self._metric] for name, scores in self._inherited.items()}, alone
            ),
        }
        write_json(self._run.diagnosis_file, found)
        if publish is not None:
            publish(self._run, found)
        return found

    def _extended(
        self, former: DiagnosisPlan | None, settings: DiagnosisSettings, file: Path
    ) -> DiagnosisPlan:
        """The plan with as many networks and seeds as are wanted. Raises UserError where it was another."""
        config = self._run.config()
        rule = pick_rule(settings, former.rule if former else None, file)
        recipe = lone_recipe(
            config.finetune,
            settings,
            former.recipe if former else None,
            samples=len(self._data.training.order),
            where=file,
        )
        known = former.networks if former else ()
        require_members(known, self._space, file)
        seeds = max(self._seeds, former.seeds if former else 0)
        if former is not None and self._count <= len(known):
            return DiagnosisPlan(rule, recipe, seeds, former.predictor, known)
        skeleton = Skeleton.load(config.skeleton)
        path = settings.predictor or self._run.predictor_file
        predictor = load_predictor(path, skeleton, allow_other_device=settings.allow_other_device)
        digest = digest_files(path)
        if former is not None and former.predictor != digest:
            raise UserError(
                f"{path}: not the predictor that the networks in {file} were picked by; to add to them name "
                f"that one by `predictor`, or move {file.parent} away to start anew"
            )
        tracer = Tracer(self._space, skeleton, anonymous=True)
        networks = pick_networks(
            self._space,
            rule,
            count=self._count,
            known=known,
            predict=Estimate(predictor, tracer, end_to_end=EndToEnd()).many,
            macs=lambda arch: tracer(arch).macs,
        )
        return DiagnosisPlan(rule, recipe, seeds, digest, networks)

    def _inherit(self) -> dict[str, Scores]:
        """What the networks score with the supernet's weights, by arch id."""
        evaluator = open_evaluator(self._run, self._data)
        _log.info("scoring %d networks with inherited weights", len(self._plan.networks))
        found = {}
        for network in self._plan.networks:
            scores = scored(evaluator, network.arch, self._cache, metric=self._metric)
            require_measured(self._metric, scores)
            found[network.arch.id] = scores
        return found

    def _alone(self, network: PickedNetwork, seed: int) -> Scores | None:
        return self._trainings.scores(network.arch, seed, metric=self._metric)
