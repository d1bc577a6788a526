"""The folder of a run: where everything lies, and whether a command may go on in it."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from nas.documents import read_yaml, shown
from nas.errors import UserError
from nas.files import write_json, write_text
from nas.locks import sole_process
from nas.runs.config import FinetuneConfig, SupernetConfig, absolute, load_config, overridden
from nas.runs.environment import environment
from nas.runs.inputs import Inputs
from nas.runs.metrics import METRICS

_FREE = (
    "name", "data.root", "data.workers", "data.cache_mib", "data.bad_share", "threads",
    "log_every", "validation", "checkpoint", "finetune", "workflow",
)  # fmt: skip
"""Fields that change where and how a run works, not what it learns."""


class RunFolder:
    """`runs/<name>`: paths, the configuration as resolved, the environment.

    Args:
        path: the folder; need not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._overrides: tuple[str, ...] = ()

    @property
    def inputs(self) -> Inputs:
        """What the run was started with, by content."""
        return Inputs(self.path / "inputs")

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def environment_file(self) -> Path:
        return self.path / "environment.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / METRICS

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
    def table_file(self) -> Path:
        """The timings that the predictor is fitted on."""
        return self.predictor_file.with_name("table.jsonl")

    @property
    def search_folder(self) -> Path:
        return self.path / "search"

    @property
    def study_file(self) -> Path:
        """The database of the trials of searches that were given no other."""
        return self.search_folder / "study.db"

    @property
    def evaluations_file(self) -> Path:
        """What every scored network scores, with its architecture."""
        return self.search_folder / "evaluations.jsonl"

    @property
    def results_file(self) -> Path:
        """What the search found."""
        return self.search_folder / "results.json"

    def device_folder(self, name: str) -> Path:
        """Where a search for another device than the run's own lies."""
        return self.path / "devices" / name

    @property
    def diagnosis_folder(self) -> Path:
        """How far a search's ranking holds: the networks that were trained alone for it, and figures."""
        return self.path / "diagnosis"

    @property
    def diagnosis_file(self) -> Path:
        return self.diagnosis_folder / "diagnosis.json"

    @property
    def summary_file(self) -> Path:
        """What a whole pipeline came to."""
        return self.path / "summary.json"

    @property
    def workflow_folder(self) -> Path:
        """What `nas run` has done, of what it was made, and how sound the data were found to be."""
        return self.path / "workflow"

    @property
    def report_file(self) -> Path:
        return self.path / "report" / "index.html"

    @property
    def subnets_folder(self) -> Path:
        return self.path / "subnets"

    @property
    def trainings_folder(self) -> Path:
        """Where the trainings of subnets lie, each in a folder of its own."""
        return self.path / "finetune"

    def work_folder(self, name: str) -> Path:
        """Record, checkpoints and metrics of one training of a subnet."""
        return self.trainings_folder / name

    def way_to(self, other: "RunFolder") -> str:
        """The way from this folder to another run's: it holds where both are moved or copied together."""
        return Path(os.path.relpath(other.path.resolve(), self.path.resolve())).as_posix()

    def at(self, way: str) -> "RunFolder":
        """The run at the end of a way, see `way_to`; need not exist."""
        there = self.path / way
        short = Path(os.path.normpath(there))
        # A folder above may be a link, of which the short form knows nothing.
        return RunFolder(short if short.resolve() == there.resolve() else there.resolve())

    def alone(self) -> AbstractContextManager[None]:
        """Keeps all other processes out of the run. Raises UserError where one is in it."""
        return sole_process(self.path)

    @classmethod
    def start(cls, path: Path | str, config: SupernetConfig) -> "RunFolder":
        """The folder for a run of this configuration: a new one, or the one to go on in.

        The content of space and skeleton is kept in it; paths are kept absolute. What one to go on in says of
        itself stays as it is until `record`.

        Raises:
            UserError: the folder holds a run of another configuration (says which fields differ), or cannot
                be written; space or skeleton cannot be read.
        """
        run = cls(path)
        config = absolute(config)
        if run.config_file.is_file():
            run._require_same(config)
            return run
        config.load_space()
        run.inputs.keep(config)
        run.record(config)
        return run

    def record(self, config: SupernetConfig) -> None:
        """Write down how the run goes on. Raises UserError as `write_text` does."""
        values = absolute(config).model_dump(mode="json")
        write_text(self.config_file, yaml.safe_dump(values, sort_keys=False))
        write_json(self.environment_file, environment())

    @classmethod
    def open(cls, path: "Path | str | RunFolder", overrides: Iterable[str] = ()) -> "RunFolder":
        """The folder of a run that was started before.

        Args:
            path: the folder; one that is open already stays as it is.
            overrides: `a.b=c`, for fields that change where and how a run works, not what it is.

        Raises:
            UserError: there is none, or another field is to be changed.
        """
        if isinstance(path, RunFolder):
            return path
        run = cls(path)
        if not run.config_file.is_file():
            raise UserError(f"{run.path}: no run's folder (it has no config.yaml); `nas train` makes one")
        run._overrides = tuple(overrides)
        for override in run._overrides:
            if not is_free(override):
                raise UserError(
                    f"{override}: part of what {run.path} is, and stays as it was; "
                    f"what can be changed there: {', '.join(_FREE)}"
                )
        return run

    def config(self) -> SupernetConfig:
        """The configuration as resolved, with space and skeleton as the run keeps them.

        Raises UserError where a file is damaged.
        """
        return self._config(self.inputs.kept)

    def keeping(self, config: SupernetConfig) -> SupernetConfig:
        """A configuration with space and skeleton as the run keeps them."""
        return absolute(config).model_copy(update=self.inputs.kept)

    def _config(self, kept: Mapping[str, str]) -> SupernetConfig:
        values = read_yaml(self.config_file)
        if isinstance(values, dict):
            values = overridden(SupernetConfig, {**values, **kept}, self._overrides)
        return SupernetConfig.read(values, str(self.config_file))

    def recipe_digest(self) -> str:
        """12 hex digits that change with what the run learns, and not with where and how it works."""
        values = _bound(self._config({}).model_dump(mode="json"))
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    def require_weights(self) -> Path:
        """The finished supernet's weights. Raises UserError where training has not ended."""
        if not self.weights_file.is_file():
            raise UserError(f"{self.path}: holds no trained supernet yet; finish `nas train` first")
        return self.weights_file

    def _require_same(self, config: SupernetConfig) -> None:
        differences = [
            f"{name} ({_said(old)} there, {_said(new)} now)"
            for name, old, new in self.inputs.differences(self._config({}), config)
            if not is_free(name)
        ]
        if differences:
            raise UserError(
                f"{self.path} holds a run of another configuration: {'; '.join(differences)}. Go on with the "
                "former values, or start anew under another `name` (or delete the folder)"
            )


def _said(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)


def _bound(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The fields of plain data that are not free."""
    return {
        name: _bound(value, f"{prefix}{name}.") if isinstance(value, Mapping) else value
        for name, value in values.items()
        if not is_free(f"{prefix}{name}")
    }


def is_free(assignment: str) -> bool:
    """Whether a field, or `a.b=c`, changes where and how a run works, not what it learns."""
    field = assignment.partition("=")[0]
    return any(field == free or field.startswith(f"{free}.") for free in _FREE)


def load_recipe(source: str | Path, overrides: Iterable[str] = ()) -> SupernetConfig:
    """The configuration of a recipe, or of a run by its folder, any field changed: to look at what it says.

    Raises UserError as `load_config` and `RunFolder.open` do.
    """
    if not Path(source).is_dir():
        return load_config(source, overrides)
    values = RunFolder.open(source).config().model_dump(mode="json")
    return SupernetConfig.read(overridden(SupernetConfig, values, overrides), str(source))


def load_finetune_config(folder: RunFolder | Path | str, overrides: Iterable[str] = ()) -> FinetuneConfig:
    """A run's `finetune` section with `a.b=c` overrides. Raises UserError for a wrong field."""
    run = RunFolder.open(folder)
    values = overridden(FinetuneConfig, run.config().finetune.model_dump(mode="json"), overrides)
    return FinetuneConfig.read(values, f"{run.config_file}: finetune")
