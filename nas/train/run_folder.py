"""The folder of a run: where everything lies, and whether a command may go on in it."""

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from nas.documents import read_yaml
from nas.errors import UserError
from nas.files import write_json, write_text
from nas.train.config import SupernetConfig

_FREE = (
    "name", "data.root", "data.workers", "data.cache_mib", "data.bad_share", "threads",
    "log_every", "validation", "checkpoint", "finetune",
)  # fmt: skip
"""Fields that change where and how a run works, not what it learns."""

_PACKAGES = (
    "pose-nas", "torch", "lightning-fabric", "numpy", "opencv-python", "onnxruntime", "optuna",
)  # fmt: skip


class RunFolder:
    """`runs/<name>`: paths, the configuration as resolved, the environment.

    Args:
        path: the folder; need not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def environment_file(self) -> Path:
        return self.path / "environment.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def search_split_file(self) -> Path:
        """Training images that are kept for the search."""
        return self.path / "search_split.json"

    @property
    def calibration_file(self) -> Path:
        """Training samples that batch-norm statistics are measured on."""
        return self.path / "calibration.json"

    @property
    def weights_file(self) -> Path:
        """The averaged weights of the finished supernet."""
        return self.path / "weights.safetensors"

    @property
    def predictor_file(self) -> Path:
        return self.path / "latency" / "predictor.json"

    @property
    def search_folder(self) -> Path:
        return self.path / "search"

    @property
    def subnets_folder(self) -> Path:
        return self.path / "subnets"

    def work_folder(self, name: str) -> Path:
        """Checkpoints and metrics of one fine-tuning."""
        return self.path / "finetune" / name

    @classmethod
    def start(cls, path: Path | str, config: SupernetConfig) -> "RunFolder":
        """The folder for a run of this configuration: a new one, or the one to go on in.

        Raises:
            UserError: the folder holds a run of another configuration (says which fields differ), or cannot
                be written.
        """
        run = cls(path)
        if run.config_file.is_file():
            run._require_same(config)
        write_text(run.config_file, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
        write_json(run.environment_file, environment())
        return run

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """The folder of a run that was started before. Raises UserError where there is none."""
        run = cls(path)
        if not run.config_file.is_file():
            raise UserError(f"{run.path}: no run's folder (it has no config.yaml); `nas train` makes one")
        return run

    def config(self) -> SupernetConfig:
        """The configuration as resolved. Raises UserError where the file is damaged."""
        return SupernetConfig.read(read_yaml(self.config_file), str(self.config_file))

    def require_weights(self) -> Path:
        """The finished supernet's weights. Raises UserError where training has not ended."""
        if not self.weights_file.is_file():
            raise UserError(f"{self.path}: holds no trained supernet yet; finish `nas train` first")
        return self.weights_file

    def _require_same(self, config: SupernetConfig) -> None:
        former = self.config().model_dump(mode="json")
        differences = [
            f"{name} ({old} there, {new} now)"
            for name, old, new in _differences(former, config.model_dump(mode="json"))
            if not any(name == free or name.startswith(f"{free}.") for free in _FREE)
        ]
        if differences:
            raise UserError(
                f"{self.path} holds a run of another configuration: {'; '.join(differences)}. Go on with the "
                "former values, or start anew with another --name (or delete the folder)"
            )


def environment() -> dict[str, Any]:
    """Machine, versions, command and time, for the record."""
    return {
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name)) is not None},
    }


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, f"{prefix}{name}.")
        elif before != after:
            yield f"{prefix}{name}", before, after


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
