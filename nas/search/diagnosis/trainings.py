"""Networks that are trained alone: one run for each seed, with a folder for every network in it."""

from pathlib import Path

from rich.console import Console

from nas.digests import digest_files
from nas.errors import UserError
from nas.files import write_bytes
from nas.runs.config import FinetuneConfig, SupernetConfig
from nas.runs.data import RunData
from nas.runs.folder import RunFolder
from nas.search.record import EvaluationCache
from nas.search.session import open_evaluator
from nas.search.values import Scores
from nas.space import Arch
from nas.train.finetune import finetune_subnet


class LoneTrainings:
    """Trains networks of a run from random weights, and scores them as a search scores networks.

    What is trained does not depend on the run's supernet: only on its data, space and `recipe`. What was
    scored is known by the cache, be its weights still there or not.

    Args:
        run: whose diagnosis it is.
        data: of that run.
        recipe: of every training.
        cache: of scores.
    """

    def __init__(self, run: RunFolder, data: RunData, recipe: FinetuneConfig, cache: EvaluationCache) -> None:
        self._run = run
        self._data = data
        self._recipe = recipe
        self._cache = cache
        self._images = digest_files(run.search_split_file, run.calibration_file)

    def scores(self, arch: Arch, seed: int, *, metric: str) -> Scores | None:
        """What a trained network scores; None where it is not trained, or not yet scored by the metric."""
        found = self._cache.get(self._key(seed), arch)
        return found if found is not None and metric in found else None

    def train(self, arch: Arch, seed: int, *, hours: float | None, console: Console | None) -> Scores:
        """Train and score a network, going on where that was stopped.

        Raises:
            Paused: after so many hours; the same call goes on.
            UserError: other data than before, or as `finetune_subnet` does.
        """
        weights = self._weights(arch, seed)
        if not weights.is_file():
            alone = self._run_of(seed)
            weights = finetune_subnet(
                alone, arch, recipe=self._recipe, name=arch.id, scratch=True, hours=hours, console=console
            )
        scores = open_evaluator(self._run, self._data, weights=weights)(arch)
        self._cache.add(self._key(seed), arch, scores)
        return scores

    def _key(self, seed: int) -> str:
        return f"{self._images} alone, seed {seed}"

    def _weights(self, arch: Arch, seed: int) -> Path:
        return RunFolder(self._folder(seed)).subnets_folder / f"{arch.id}.safetensors"

    def _folder(self, seed: int) -> Path:
        return self._run.diagnosis_folder / f"seed-{seed}"

    def _run_of(self, seed: int) -> RunFolder:
        """The run of a seed, with the images of this one for search and calibration."""
        config = self._run.config()
        own = SupernetConfig(
            name=f"{config.name}-alone",
            space=config.space,
            resolutions=config.resolutions,
            heads=config.heads,
            skeleton=config.skeleton,
            data=config.data.model_copy(update={"val": ()}),
            images=self._recipe.images,
            precision=config.precision,
            seed=seed,
            accelerator=config.accelerator,
            processes=config.processes,
            threads=config.threads,
            log_every=config.log_every,
            checkpoint=config.checkpoint,
            calibration=config.calibration,
            finetune=self._recipe,
        )
        alone = RunFolder.start(self._folder(seed), own)
        alone.record(own)
        for file in (self._run.search_split_file, self._run.calibration_file):
            beside = alone.path / file.name
            if not beside.is_file():
                write_bytes(beside, file.read_bytes())
            elif beside.read_bytes() != file.read_bytes():
                raise UserError(
                    f"{beside} names other images than {file}: networks were trained alone beside another "
                    f"search split or calibration; move {alone.path.parent} away to start anew"
                )
        return alone
