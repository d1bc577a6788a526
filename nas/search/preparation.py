"""What a search needs before it can begin: predictor, budgets, bench, all of them checked."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from nas.digests import digest_files
from nas.errors import UserError
from nas.evaluate.metrics import require_metric
from nas.graph import Tracer
from nas.latency import EndToEnd, LatencyPredictor
from nas.latency.boosting import can_boost
from nas.latency.endtoend import check_detector
from nas.runs.folder import RunFolder
from nas.search.budgets import check_budgets
from nas.search.estimate import Estimate
from nas.search.limits import Overrun, Requirements
from nas.search.measuring import Bench, time_detector
from nas.search.refinement import Refinement
from nas.search.results import ResultPlace
from nas.search.samplers import sampler_named
from nas.search.settings import Displays, SearchSettings
from nas.shipped import network_file
from nas.space import ArchManager, SearchSpace, Skeleton
from nas.timing import LatencyTable, Network
from nas.timing.networks import file_network

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Search:
    """What the steps of a search share.

    Args:
        base: predictions by the predictor that was given.
        table: that the predictor was fitted on; None where it is not at hand.
        bench: measures on this machine; None where the predictor is of another one, or
            nothing is to be measured.
        detector: to be timed beside finalists.
        requirements: limits besides the budgets.
        console: where trainings show how far they are; None for nowhere.
    """

    run: RunFolder
    settings: SearchSettings
    space: SearchSpace
    tracer: Tracer
    base: Estimate
    budgets: tuple[float, ...]
    table: Path | None
    bench: Bench | None
    detector: Network | None
    requirements: Requirements
    console: Console | None = None

    def overrun(self, estimate: Estimate) -> Overrun:
        """Of the limits, as an estimate sees them."""
        return self.requirements.overrun(estimate, p95_ratio=estimate.predictor.p95_ratio)

    @property
    def predictor_file(self) -> Path:
        """Of the predictor that was given."""
        return _predictor_file(self.run, self.settings)

    @property
    def device(self) -> str | None:
        """What names the device that subnets are searched for, where it is not the run's own."""
        if self.settings.device is None:
            return None
        predictor = self.base.predictor
        precision = "" if predictor.precision == "fp32" else f"-{predictor.precision}"
        return f"{predictor.device.fingerprint}{precision}"

    @property
    def place(self) -> ResultPlace:
        """Where what is found is written."""
        if self.device is None:
            return ResultPlace(self.run.results_file, self.run.subnets_folder)
        folder = self.run.device_folder(self.device)
        return ResultPlace(folder / "results.json", folder / "subnets")

    def refinement(self, study: str) -> Refinement | None:
        """Of this search's predictor; None where none is wanted."""
        bench = self.bench
        if not self.settings.refine or bench is None or bench.table is None:
            return None
        return Refinement(
            self.base,
            file=self.run.search_folder / "refinement.json",
            study=study,
            budgets_ms=self.budgets,
            wanted=self.settings.refine,
            bench=bench,
            refit=partial(_refit, bench.table, self.base.predictor, seed=self.settings.seed),
        )


def prepare(
    run: RunFolder, settings: SearchSettings, displays: Displays, *, together: bool = False
) -> Search:
    """Check what was asked for against the run. Raises UserError; see `search_run`.

    Where runs are searched `together`, budgets that networks of this one cannot meet are left to the others.
    """
    config = run.config()
    run.require_weights()
    skeleton, space = Skeleton.load(config.skeleton), config.load_space()
    require_metric(settings.metric, skeleton)
    _check_settings(settings)
    if settings.heads:
        space = space.narrow(heads=settings.heads)
    path = _predictor_file(run, settings)
    predictor = load_predictor(
        path, skeleton, allow_other_device=settings.allow_other_device or settings.device is not None
    )
    _say_of_another_space(predictor, space, path)
    tracer = Tracer(space, skeleton)
    bench, table = None, _find_table(run, path)
    if predictor.is_here and settings.measure:
        bench = Bench(
            space,
            tracer,
            threads=predictor.device.threads,
            protocol=predictor.protocol,
            precision="int8" if predictor.precision == "int8" else "fp32",
            seed=settings.seed,
            table=_table_to_refine(table, path, predictor) if settings.refine else None,
            display=displays.timing,
        )
    elif settings.refine:
        raise UserError(
            f"`refine` measures on this machine, and the predictor is of {predictor.device}: leave `refine` "
            "out, or measure and fit a predictor here"
        )
    detector, pays = _end_to_end(run, settings, space, bench)
    quick = Tracer(space, skeleton, anonymous=True)
    base = Estimate(predictor, quick, end_to_end=pays, source=digest_files(path))
    budgets = check_budgets(settings.budgets_ms, space, base, some=together)
    requirements = Requirements(settings.limits, tracer, precision=predictor.precision)
    requirements.check(space, base, p95_ratio=predictor.p95_ratio, budgets_ms=budgets)
    return Search(
        run, settings, space, tracer, base, budgets, table, bench, detector, requirements, displays.training
    )


def load_predictor(path: Path, skeleton: Skeleton, *, allow_other_device: bool = False) -> LatencyPredictor:
    """A predictor for networks of this skeleton.

    Raises:
        UserError: there is none, it is of another device (unless allowed), or its networks have other joints.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no latency predictor; make one with `nas latency measure` of the run's space and "
            "`nas latency fit`, or give `predictor`"
        )
    predictor = LatencyPredictor.load(path, allow_other_device=allow_other_device)
    if predictor.remark is not None:
        _log.warning("%s", predictor.remark)
    if len(predictor.skeleton.keypoints) != len(skeleton.keypoints):
        raise UserError(
            f"{path}: predicts networks of {len(predictor.skeleton.keypoints)} joints "
            f"({predictor.skeleton.name}), the run's have {len(skeleton.keypoints)} ({skeleton.name}); "
            f"measure with the skeleton {skeleton.name}"
        )
    return predictor


def _predictor_file(run: RunFolder, settings: SearchSettings) -> Path:
    return settings.device or settings.predictor or run.predictor_file


def _check_settings(settings: SearchSettings) -> None:
    """Raises UserError for what does not go together."""
    sampler = sampler_named(settings.sampler)
    if settings.seed < 0:
        raise UserError(f"`seed`: {settings.seed} is below 0")
    if settings.device is not None and settings.predictor is not None:
        raise UserError("`device` is a predictor, too: give it or `predictor`")
    if not settings.measure and (settings.refine or settings.detector is not None):
        raise UserError("`refine` and `detector` are measured here: leave them out, or let it `measure`")
    if settings.refine and not settings.to_score:
        raise UserError("`refine` measures while networks are scored: give `trials`, or leave it out")
    if settings.prior is not None and not settings.to_score:
        raise UserError("`prior` says which networks to score, and none is: give `trials`, or leave it out")
    if settings.prior is not None and not sampler.takes_prior:
        raise UserError(f"`prior` is for a model of accuracy, and the `sampler` {sampler.name} has none")


def _say_of_another_space(predictor: LatencyPredictor, space: SearchSpace, path: Path) -> None:
    """Say so in one line where a predictor was fitted to networks of another space."""
    manager = ArchManager(space)
    ends = [
        end(head=head, resolution=size)
        for head in space.heads
        for size in space.resolutions
        for end in (manager.smallest, manager.largest)
    ]
    known = [SearchSpace.from_json(other, source=str(path)) for other in predictor.spaces]
    if not all(any(other.contains(arch) for other in known) for arch in ends):
        names = ", ".join(other.name for other in known) or "none"
        _log.warning(
            "%s was fitted to networks of another space (%s) than %s: its intervals are wider for what it "
            "does not know; measure some networks of this one for closer predictions.",
            path,
            names,
            space.name,
        )


def _end_to_end(
    run: RunFolder, settings: SearchSettings, space: SearchSpace, bench: Bench | None
) -> tuple[Network | None, EndToEnd]:
    """The detector to time beside finalists, and what is paid besides a network."""
    if (settings.detector is not None or settings.detector_ms) and space.task != "crop":
        raise UserError(
            f"{space.name} looks at whole pictures and needs no person detector; leave `detector` and "
            "`detector_ms` out"
        )
    if settings.detector is None:
        return None, EndToEnd(settings.people, settings.detector_ms)
    check_detector(detector_ms=settings.detector_ms, here=bench is not None)
    assert bench is not None
    detector = file_network(network_file(settings.detector))
    ms = time_detector(detector, bench, file=run.search_folder / "detector.json")
    return detector, EndToEnd(settings.people, ms)


def _find_table(run: RunFolder, predictor_file: Path) -> Path | None:
    """The latency table that lies beside a predictor; the run's for a predictor that was refitted in it."""
    folder = predictor_file.parent
    if folder.resolve() == run.search_folder.resolve():
        folder = run.predictor_file.parent
    table = folder / "table.jsonl"
    if table.is_file():
        return table
    others = list(folder.glob("*.jsonl"))
    return others[0] if len(others) == 1 else None


def _table_to_refine(table: Path | None, predictor_file: Path, predictor: LatencyPredictor) -> Path:
    if table is None:
        raise UserError(
            f"`refine` adds to the latency table that {predictor_file} was fitted on, and no table.jsonl "
            "lies beside it: put it there, or leave `refine` out"
        )
    known = LatencyTable.read(table)
    if known.fingerprint != f"{predictor.device.fingerprint}-{predictor.protocol.fingerprint}":
        raise UserError(
            f"`refine`: {table} is of another device or protocol than {predictor_file}; fit the predictor on "
            "that table, or leave `refine` out"
        )
    if predictor.remark is not None:
        raise UserError(
            f"`refine`: {table} was measured under {known.device.runtime}, and timings of two versions do "
            "not mix in one table: measure and fit again, or leave `refine` out"
        )
    return table


def _refit(table: Path, given: LatencyPredictor, *, seed: int) -> LatencyPredictor:
    """A predictor of the same kind, on all that the table holds by now."""
    boosted, boosts = given.model.is_boosted, can_boost()
    if boosted and not boosts:
        _log.warning("scikit-learn is not installed: the predictor is refitted as a roofline alone.")
    return LatencyPredictor.fit(
        LatencyTable.read(table),
        skeleton=given.skeleton.name,
        precision=given.precision,
        other=given.other,
        boosted=boosted and boosts,
        seed=seed,
    )
