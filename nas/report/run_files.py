"""What lies in a run folder, read for its report. What is not there is None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.digests import digest_files
from nas.documents import known_json
from nas.errors import UserError
from nas.latency import LatencyPredictor
from nas.runs.folder import RunFolder
from nas.runs.metrics import METRICS, read_metrics
from nas.runs.subnet_training import RECORD, is_finalist
from nas.space import Arch

Figures = Mapping[str, Any]

GIVEN = "as given"
REFITTED = "refitted while searching"


@dataclass(frozen=True)
class SubnetTraining:
    """One training of a subnet in a run, whatever it was called.

    Args:
        name: as the user called it.
        arch: id of what was trained; None where the folder does not tell.
        scratch: from random weights, not from the supernet's.
        ap: of its last scores; None where it was not scored.
    """

    name: str
    arch: str | None
    scratch: bool
    ap: float | None


def search_results(run: RunFolder) -> Figures | None:
    """The content of `search/results.json`."""
    return known_json(run.results_file)


def run_of(run: RunFolder, entry: Figures) -> RunFolder:
    """The run that a network of the results is of: another one where several were searched at once."""
    return run.at(str(entry["run"])) if "run" in entry else run


def runs_of(run: RunFolder, results: Figures | None) -> list[RunFolder]:
    """The runs that were searched, this one first."""
    return [run_of(run, each) for each in (results or {}).get("runs", [])] or [run]


def read_diagnosis(run: RunFolder) -> Figures | None:
    """The content of `diagnosis/diagnosis.json`."""
    return known_json(run.diagnosis_file)


def read_predictors(run: RunFolder, results: Figures | None) -> dict[str, LatencyPredictor]:
    """The predictor that the search was given, and the one that it went on with; those that can be read.

    A file counts by its content: one that was fitted anew since the search is another predictor.
    """
    found = {}
    results = results or {}
    given = [Path(results["predictor"])] if results.get("predictor") else []
    refined = results.get("refined_predictor")
    sources = {
        GIVEN: ([*given, run.predictor_file], results.get("predictor_digest")),
        REFITTED: (
            [run.search_folder / Path(refined).name] if refined else [],
            results.get("refined_predictor_digest"),
        ),
    }
    for name, (paths, digest) in sources.items():
        for path in paths:
            try:
                if digest is None or digest_files(path) == digest:
                    found[name] = LatencyPredictor.load(path, allow_other_device=True)
                    break
            except UserError:
                continue
    return found


def read_trainings(run: RunFolder, results: Figures | None) -> list[SubnetTraining]:
    """Every training of a subnet in the run, and in another one those of what was found there."""
    found = _trainings(run)
    for other in runs_of(run, results)[1:]:
        subnets = (results or {}).get("subnets", [])
        wanted = {str(entry["arch"]) for entry in subnets if run_of(run, entry).path == other.path}
        found += [training for training in _trainings(other) if training.arch in wanted]
    return found


def _trainings(run: RunFolder) -> list[SubnetTraining]:
    """Those of one run: with the run's summary's figure, else with the last one while training."""
    summed = {str(entry["arch"]): entry for entry in _summary(run)}
    found = []
    for work in _training_folders(run):
        training = _training(work)
        if training.scratch or training.arch not in summed:
            found.append(training)
    return found + [
        SubnetTraining(str(entry["name"]), arch, scratch=False, ap=float(entry["finetuned_ap"]))
        for arch, entry in summed.items()
    ]


def read_finetunings(run: RunFolder) -> dict[str, Sequence[Mapping[str, float | int | None]]]:
    """What every training of a subnet measured, by its name."""
    return {work.name: read_metrics(work / METRICS) for work in _training_folders(run)}


def finetuned(trainings: Sequence[SubnetTraining], arch: str) -> list[SubnetTraining]:
    """The trainings of an architecture that started from the supernet and were scored."""
    return [t for t in trainings if t.arch == arch and not t.scratch and t.ap is not None]


def _training_folders(run: RunFolder) -> list[Path]:
    """Those of subnets for their own sake; finalists are trained to choose by."""
    folder = run.trainings_folder
    works = sorted(folder.iterdir()) if folder.is_dir() else []
    return [work for work in works if not is_finalist(work.name)]


def _training(work: Path) -> SubnetTraining:
    """What is trained in a folder, by the architecture that it holds."""
    record = known_json(work / RECORD) or {}
    content = record.get("arch")
    try:
        arch = Arch.from_json(content).id if isinstance(content, dict) else None
    except UserError:
        arch = None
    scores = [
        value
        for row in read_metrics(work / METRICS)
        for name, value in row.items()
        if name.startswith("val/") and name.endswith("/AP") and value is not None
    ]
    return SubnetTraining(
        work.name, arch, record.get("scratch") is True, float(scores[-1]) if scores else None
    )


def _summary(run: RunFolder) -> list[Figures]:
    """The subnets of the run's summary that say what they are and what they score."""
    entries = (known_json(run.summary_file) or {}).get("subnets", [])
    return [e for e in entries if e.get("arch") is not None and e.get("finetuned_ap") is not None]
