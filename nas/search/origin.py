"""What the networks of a study are scored with: by it, copies of a run folder that differ are told apart."""

from pathlib import Path

from nas.digests import digest_files
from nas.errors import UserError
from nas.runs.folder import RunFolder
from nas.search.record import ORIGIN
from nas.search.storage import open_storage, shown


def origin(run: RunFolder) -> dict[str, str]:
    """Digests of a run's recipe, and of the files that decide about scores."""
    files = {file.name: digest_files(file) for file in _files(run)}
    return {"recipe": run.recipe_digest(), **files}


def require_same_origin(run: RunFolder, storage: str) -> None:
    """Raise UserError where this run is searched in a database already, with other weights or images."""
    mine = origin(run)
    for study in open_storage(storage).get_all_studies():
        theirs = study.user_attrs.get(ORIGIN, {})
        if theirs.get("recipe") != mine["recipe"]:
            continue
        for file in _files(run):
            if theirs.get(file.name) != mine[file.name]:
                raise UserError(
                    f"{file}: not the file that networks of this run are scored with in {shown(storage)}; "
                    "copy the run folder anew from where that search was begun, or name another `storage`"
                )


def _files(run: RunFolder) -> tuple[Path, ...]:
    return run.weights_file, run.search_split_file, run.calibration_file
