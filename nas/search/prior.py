"""What a run with other weights has scored, as a prior: a guess at accuracies, never one of this run's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.trial import TrialState

from nas.errors import UserError
from nas.runs.folder import RunFolder
from nas.search.preparation import Search
from nas.search.record import SearchRecord
from nas.search.samplers import Prior
from nas.search.samplers.genes import Genome
from nas.search.samplers.prior import LEAST
from nas.search.storage import open_storage, shown, sqlite_url
from nas.search.study import require_study
from nas.space import SearchSpace


def prior_of(search: Search, record: SearchRecord) -> Prior | None:
    """The prior of a search; None where none was asked for.

    It is kept with the study as it was when it was first asked for, so that a killed search goes on as it
    began, whatever the other run does meanwhile, and that all workers have the same.

    Raises:
        UserError: the other run is of another space, or has scored nothing.
    """
    settings = search.settings
    if settings.prior is None:
        return None
    run = RunFolder.open(settings.prior)
    run.require_weights()
    space = run.config().load_space()
    space = space.narrow(heads=settings.heads) if settings.heads else space
    if space != search.space:
        raise UserError(
            f"`prior` {run.path}: its space {space.name} is not that of {search.run.path}, "
            f"{search.space.name}: what scores well there says nothing here"
        )
    storage = sqlite_url(run.study_file)
    if settings.storage and not run.study_file.is_file():
        storage = settings.storage
    # However it was scored there.
    name = require_study(run, space, replace(settings, calibration_images=None), storage)
    if name == record.name:
        raise UserError(f"`prior` {run.path}: has the same weights, and its networks are known here anyway")
    kept = record.kept(f"prior: {name}", lambda: _scored(space, storage, name))
    return Prior(
        genes=np.array(kept["genes"], np.int64).reshape(-1, len(Genome(space).names)),
        accuracies=np.array(kept["accuracies"], float),
    )


def _scored(space: SearchSpace, storage: str, name: str) -> Mapping[str, Any]:
    """Plain data: genes and accuracies of the networks of a study, each once, in their order."""
    opened, genome = open_storage(storage), Genome(space)
    trials = opened.get_all_trials(
        opened.get_study_id_from_name(name), deepcopy=False, states=(TrialState.COMPLETE,)
    )
    found = [(arch, trial.values[0]) for trial in trials if (arch := genome.of_params(trial.params))]
    if len(found) < LEAST:
        raise UserError(
            f"`prior`: in {shown(storage)} only {len(found)} networks are scored; score {LEAST} first"
        )
    return {
        "genes": [genome.read(arch).tolist() for arch, _ in found],
        "accuracies": [accuracy for _, accuracy in found],
    }
