"""Checkpoints: written whole or not at all, checked by digest, rotated."""

import io
import json
import logging
import pickle
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from nas.digests import file_digest
from nas.errors import UserError
from nas.files import DRAFT, new_folder

FORMAT_VERSION = 1
_MANIFEST = "manifest.json"
_STATE = "state.pt"
_OLD = ".old-"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a training needs to go on.

    Args:
        step: number of finished steps.
        weights: named sets of tensors ("model", "ema"), stored as safetensors.
        state: whatever else is needed, of plain values and tensors only.
    """

    step: int
    weights: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]


class CheckpointStore:
    """The checkpoints of one training, in `folder`, the newest `keep` of them."""

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint so that a kill at any moment leaves it whole or absent; drop the oldest.

        Raises:
            UserError: the disk is full, or refuses; the checkpoints before it are still there.
        """
        self._sweep()
        target = self._target(checkpoint.step)
        with new_folder(target, kept="the checkpoints before it are whole") as draft:
            _fill(draft, checkpoint)
        self._rotate(target)
        return target

    def latest(self, *, device: torch.device | str = "cpu") -> Checkpoint | None:
        """The newest checkpoint that is whole, or None where there is none yet.

        Damaged ones are named in the log and passed over. Raises UserError where all are damaged, and for
        a format that this version does not read.
        """
        paths = self.paths()
        for path in reversed(paths):
            try:
                return _read(path, device=device)
            except _DamagedError as damage:
                _log.warning("checkpoint %s is damaged (%s); using the one before it", path, damage)
        if paths:
            raise UserError(
                f"all checkpoints in {self.folder} are damaged; restore one, or delete that folder"
            )
        return None

    def paths(self) -> list[Path]:
        """The folders of all checkpoints, oldest first."""
        return sorted(self.folder.glob("step-*")) if self.folder.is_dir() else []

    def size(self) -> int:
        """Bytes of all checkpoints there are."""
        return sum(file.stat().st_size for path in self.paths() for file in path.iterdir())

    def _target(self, step: int) -> Path:
        """A new name: one that exists is not touched before its successor is in place."""
        name = f"step-{step:08d}"
        taken = sorted(self.folder.glob(f"{name}*"))
        if not taken:
            return self.folder / name
        _, _, number = taken[-1].name.removeprefix(name).rpartition("-")
        return self.folder / f"{name}-{int(number or 0) + 1:03d}"

    def _rotate(self, newest: Path) -> None:
        """Keep the newest ones; what comes after or beside the newest was damaged, or rolled back."""
        step = _step(newest)
        former = [path for path in self.paths() if _step(path) < step]
        kept = {newest, *former[max(0, len(former) - self.keep + 1) :]}
        for path in self.paths():
            if path not in kept:
                # Renamed first, so that a kill leaves no half of a checkpoint under a checkpoint's name.
                with suppress(OSError):
                    path.rename(self.folder / f"{_OLD}{path.name}")
        self._sweep()

    def _sweep(self) -> None:
        for stale in (*self.folder.glob(f"*{DRAFT}*"), *self.folder.glob(f"{_OLD}*")):
            shutil.rmtree(stale, ignore_errors=True)


class _DamagedError(Exception):
    """A checkpoint whose files are not those that were written."""


def _fill(draft: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint's files.

    What they hold is made in memory: written by Python alone, they fail in one way where the disk is full.
    """
    for name, tensors in checkpoint.weights.items():
        content = to_bytes({key: tensor.detach().contiguous() for key, tensor in tensors.items()})
        (draft / f"{name}.safetensors").write_bytes(content)
    buffer = io.BytesIO()
    torch.save(dict(checkpoint.state), buffer)
    (draft / _STATE).write_bytes(buffer.getbuffer())
    digests = {path.name: file_digest(path) for path in sorted(draft.iterdir())}
    manifest = {"version": FORMAT_VERSION, "step": checkpoint.step, "sha256": digests}
    (draft / _MANIFEST).write_text(json.dumps(manifest, indent=2))


def _step(path: Path) -> int:
    """The step in a checkpoint's name; -1 for a name that is none."""
    number = path.name.split("-")[1]
    return int(number) if number.isdigit() else -1


def _read(path: Path, *, device: torch.device | str) -> Checkpoint:
    manifest = _manifest(path)
    for name, digest in manifest["sha256"].items():
        file = path / name
        if not file.is_file():
            raise _DamagedError(f"{name} is missing")
        if file_digest(file) != digest:
            raise _DamagedError(f"{name} has another digest")
    names = [Path(name).stem for name in manifest["sha256"] if name.endswith(".safetensors")]
    weights = {name: load_file(path / f"{name}.safetensors", device=str(device)) for name in names}
    try:
        state = torch.load(path / _STATE, map_location=device, weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(f"{path / _STATE}: holds more than plain values and is not loaded") from None
    return Checkpoint(step=manifest["step"], weights=weights, state=state)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((path / _MANIFEST).read_text())
        version = manifest["version"]
        complete = isinstance(manifest["step"], int) and _STATE in manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _DamagedError(f"{_MANIFEST} cannot be read: {error}") from None
    if version != FORMAT_VERSION:
        raise UserError(
            f"checkpoint {path} has format {version}, this version reads {FORMAT_VERSION}; "
            "use the version that wrote it, or start a new run"
        )
    if not complete:
        raise _DamagedError(f"{_MANIFEST} is incomplete")
    if manifest["step"] != _step(path):
        raise _DamagedError(f"{_MANIFEST} is of step {manifest['step']}")
    return manifest
