"""The record of a subnet's training in a run: its folder goes on with the same network and recipe only."""

from pathlib import Path
from typing import Any

from nas.documents import known_json
from nas.errors import UserError
from nas.files import write_json
from nas.runs.config import FinetuneConfig, overridden
from nas.runs.named_files import moved_back, named_digests
from nas.space import Arch

RECORD = "finetune.json"

_FINALIST = "finalist-"


def finalist_name(arch: Arch, images: int) -> str:
    """The name of a finalist's training, for so many images."""
    return f"{_FINALIST}{arch.id[:6]}-{images}"


def is_finalist(name: str) -> bool:
    """Whether a training of this name was a finalist's, to choose by, and is not what one searched for."""
    return name.startswith(_FINALIST)


def record_training(
    work: Path, arch: Arch, recipe: FinetuneConfig, *, scratch: bool, seed: int | None = None
) -> None:
    """Record what is trained in this folder. Raises UserError where it was something else.

    Args:
        work: the folder.
        arch: what is trained.
        recipe: how.
        scratch: from random weights.
        seed: of all draws; None for the run's.
    """
    record: dict[str, Any] = {
        "arch": arch.to_json(),
        "scratch": scratch,
        "recipe": recipe.model_dump(mode="json"),
        **({} if seed is None else {"seed": seed}),
    }
    path = work / RECORD
    if not path.is_file():
        write_json(path, {**record, "files": named_digests(FinetuneConfig, record["recipe"])})
        return
    former = _former(path)
    if former:
        record["recipe"] = moved_back(FinetuneConfig, record["recipe"], former["recipe"], former["files"])
    differing = [name for name in dict.fromkeys((*record, "seed")) if former.get(name) != record.get(name)]
    if differing:
        raise UserError(
            f"{work} holds a training with another {' and '.join(differing)}; "
            "choose another `name`, or delete that folder to start anew"
        )


def _former(path: Path) -> dict[str, Any]:
    """What a folder was used for, by its file; nothing where that is damaged."""
    former = known_json(path)
    if former is None or "recipe" not in former:
        return {}
    # One that an earlier version wrote lacks the fields that came later.
    recipe = FinetuneConfig.read(overridden(FinetuneConfig, former["recipe"], ()), str(path))
    files = former.get("files")
    return {
        **former,
        "recipe": recipe.model_dump(mode="json"),
        "files": files if isinstance(files, dict) else {},
    }
