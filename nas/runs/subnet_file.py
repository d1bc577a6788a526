"""The file of a subnet that a search found, and whose weights it was found with."""

from pathlib import Path

from nas.documents import read_json
from nas.errors import UserError
from nas.runs.folder import RunFolder
from nas.shipped import locate
from nas.space import Arch


def load_subnet(run: RunFolder, name_or_path: str | Path) -> Arch:
    """An architecture, to go on with in a run; see `Arch.load`.

    Raises:
        UserError: as `Arch.load`; its file says that it was found with the weights of another run.
    """
    arch = Arch.load(name_or_path)
    path = locate("subnets", name_or_path, ".json")
    way = (read_json(path).get("info") or {}).get("run")
    # The file lies in the folder `subnets` of the run that it was searched in; the way leads from there.
    own = RunFolder(path.parent.parent).at(way) if isinstance(way, str) else run
    if own.config_file.is_file() and own.path.resolve() != run.path.resolve():
        raise UserError(
            f"{path}: found with the weights of {own.path}, not of {run.path}: give {own.path} instead"
        )
    return arch
