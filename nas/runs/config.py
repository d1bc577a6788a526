"""How a supernet is trained: the schema of `supernets/*.yaml`."""

from collections.abc import Iterable, Mapping
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, model_validator

from nas.data import Annotations, DataConfig
from nas.data.paths import FileOrName, FilePath, anchored
from nas.documents import read_yaml
from nas.errors import UserError
from nas.runs.override import LENGTHS, override, plain_copy
from nas.runs.workflow_config import WorkflowConfig
from nas.shipped import is_shipped, locate
from nas.space import SearchSpace, Skeleton
from nas.space.choices import Listed
from nas.space.fields import AsTuple, Count, FileName, NeckType, StrictModel

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Natural = Annotated[int, Field(ge=0)]

_Config = TypeVar("_Config", bound=StrictModel)


class OptimizerConfig(StrictModel):
    """Adam or AdamW; weight decay spares norms, biases and kernel maps."""

    name: Literal["adam", "adamw"] = "adamw"
    lr: Positive = 2e-3
    betas: Annotated[tuple[Share, Share], AsTuple] = (0.9, 0.999)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class ScheduleConfig(StrictModel):
    """Linear warm-up over `warmup` steps, full rate for the share `flat` of the rest, cosine to `final`."""

    warmup: Natural = 200
    flat: Share = 0.5
    final: Share = 0.05


class EmaConfig(StrictModel):
    """The average of the weights that is validated, searched and kept."""

    decay: Annotated[float, Field(ge=0, lt=1)] = 0.999


class GuardConfig(StrictModel):
    """What happens when losses or gradients are not finite.

    Args:
        patience: so many such steps in a row are skipped; then the run goes back to its last checkpoint.
        rate: what a roll-back multiplies the learning rate by.
        rollbacks: so many roll-backs before the run gives up.
    """

    patience: Count = 5
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.5
    rollbacks: Count = 4


class InitConfig(StrictModel):
    """What to start from: a weights file of ours, the name of a supernet that ships with weights, a released
    LitePose checkpoint (`.pth.tar`), or none of them.

    Args:
        weights: for everything that fits.
        backbone: for the backbone, and what fits of the necks; its heads may be others.
        zero_residual: residual blocks of random weights pass on what comes in: scale 0 of their last norm.
    """

    weights: FileOrName | None = None
    backbone: FileOrName | None = None
    zero_residual: bool = False

    @model_validator(mode="after")
    def _one_start(self) -> "InitConfig":
        missing = [self.weights, self.backbone].count(None)
        if missing == 0 or (missing == 2 and not self.zero_residual):
            raise ValueError("give one of weights, backbone, or zero_residual")
        return self


class Recipe(StrictModel):
    """What supernet training and fine-tuning share.

    Args:
        steps, images, epochs: the length; exactly one of them.
        batch: images per step, over all processes.
        init: what weights to start from; in fine-tuning, put over those that are inherited, or random.
        accumulate: parts of a process's share of the batch that go through the network one by one.
        loss_weighting: "fixed" adds up the terms of a head's loss, "auto" learns a weight for each.
        clip_norm: limit of the gradient's norm; null for none.
        precision: as Lightning Fabric names it.
    """

    steps: Count | None = None
    images: Count | None = None
    epochs: Positive | None = None
    batch: Count = 32
    init: InitConfig | None = None
    accumulate: Count = 1
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    loss_weighting: Literal["fixed", "auto"] = "fixed"
    clip_norm: Positive | None = 10.0
    ema: EmaConfig = EmaConfig()
    guard: GuardConfig = GuardConfig()
    precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true"

    @model_validator(mode="after")
    def _one_length(self) -> "Recipe":
        given = [name for name in LENGTHS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of steps, images, epochs; found {', '.join(given) or 'none'}")
        return self

    def total_steps(self, samples: int) -> int:
        """How many steps this recipe takes on a training set of so many samples."""
        if self.steps is not None:
            return self.steps
        images = self.images if self.images is not None else (self.epochs or 0) * samples
        return ceil(images / self.batch)


class SandwichConfig(StrictModel):
    """Each step trains the largest, the smallest and `random` further networks (Yu & Huang 2019).

    Args:
        largest_first: the share of the steps, from the first one on, that train the largest alone.
        smallest_every: of so many steps one trains the smallest.
        largest_every: of so many steps one trains the largest; in the others nobody teaches.
    """

    random: Natural = 2
    largest_first: Annotated[float, Field(ge=0, lt=1)] = 0.0
    smallest_every: Count = 1
    largest_every: Count = 1

    @model_validator(mode="after")
    def _trains_something(self) -> "SandwichConfig":
        if self.random == 0 and self.largest_every > 1:
            raise ValueError("`largest_every` leaves steps to random networks: `random` has to be at least 1")
        return self

    def steps_alone(self, steps: int) -> int:
        """Of a training of so many steps, those that train the largest alone."""
        return round(self.largest_first * steps)


class DistillationConfig(StrictModel):
    """How much of the loss the teacher gives, once `ramp` steps have passed; labels give the rest.

    Args:
        temperature: of the distributions that some heads compare; above 1 they are softer.
        normalise: whether the distance to the teacher is scaled to pull as strongly as the labels' loss.
    """

    weight: Share = 0.5
    ramp: Natural = 1000
    temperature: Positive = 1.0
    normalise: bool = False


class SamplingConfig(StrictModel):
    """How random networks are drawn.

    Args:
        heads: "one" head is trained in a step, or "all" of the space's, on one pass of each body.
        fair: in predicted "latency" (in MACs while no predictor is given), in "macs", or not at all
            ("uniform" over choices).
        bins: of cost, equally wide on a logarithmic scale.
        pool: networks that are drawn and costed once.
        predictor: file of the latency predictor; one of another machine will do.
    """

    heads: Literal["one", "all"] = "one"
    fair: Literal["latency", "macs", "uniform"] = "latency"
    bins: Count = 12
    pool: Count = 4000
    predictor: FilePath | None = None


class ValidationConfig(StrictModel):
    """Every so many steps, and at the end, largest and smallest network are scored on `images` images.

    Args:
        share: of the time that this may take, calibration included: where it would take more, it comes less
            often; null for as often as said.
    """

    every: Count | None = None
    images: Count = 256
    share: Annotated[float, Field(gt=0, le=1)] | None = None


class CheckpointConfig(StrictModel):
    """Every so many steps a checkpoint; the newest `keep` stay."""

    every: Count = 500
    keep: Count = 2


class CalibrationConfig(StrictModel):
    """How many training images give the batch-norm statistics of an architecture, and in what batches."""

    images: Count = 512
    batch: Count = 64


class FinetuneConfig(Recipe):
    """How a subnet is trained on after its transfer, and how the same subnet is trained from scratch.

    Args:
        distillation: share of the loss that the teacher gives, from the first step on; 0 does without one.
        teacher: weights file of the network that teaches, half of the loss where nothing else is said; null
            for the supernet's largest.
        search_split: train on the search split too (once nothing more is to be searched on it).
        compile: run the network through torch.compile: takes minutes at the start, pays on GPUs, and a
            resumed run is then no longer equal to the bit.
    """

    epochs: Positive | None = None
    distillation: Share = 0.0
    teacher: FilePath | None = None
    search_split: bool = False
    compile: bool = False

    @model_validator(mode="before")
    @classmethod
    def _teacher_teaches(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("teacher") is None or data.get("distillation"):
            return data
        return {**data, "distillation": 0.5}


class SupernetConfig(Recipe):
    """One `supernets/*.yaml`.

    Args:
        space: a shipped search space or the path of one.
        resolutions: those of the space's inputs (h, w) to train and search; null for all.
        heads: those of the space's heads to train and search, each with the necks that it may stand on; null
            for all.
        skeleton: a shipped skeleton or the path of one.
        processes: that share each step's batch, and score in `nas run`'s search; torchrun and SLURM say how
            many train by themselves.
    """

    name: FileName
    space: FileOrName
    resolutions: Annotated[tuple[Annotated[tuple[int, int], AsTuple], ...], AsTuple] | None = None
    heads: Annotated[dict[str, Annotated[tuple[NeckType, ...], Listed]], Field(min_length=1)] | None = None
    skeleton: FileOrName
    data: DataConfig
    sandwich: SandwichConfig = SandwichConfig()
    distillation: DistillationConfig = DistillationConfig()
    sampling: SamplingConfig = SamplingConfig()
    seed: Natural = 0
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    processes: Count = 1
    threads: Count | None = None
    log_every: Count = 20
    validation: ValidationConfig = ValidationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    finetune: FinetuneConfig = FinetuneConfig(epochs=5)
    workflow: WorkflowConfig = WorkflowConfig()

    @model_validator(mode="after")
    def _teacher_is_weighed_once(self) -> "SupernetConfig":
        if self.distillation.normalise and self.loss_weighting == "auto":
            raise ValueError(
                "distillation.normalise: `loss_weighting: auto` weighs the teacher already; leave one out"
            )
        return self

    def load_space(self) -> SearchSpace:
        """The search space, narrowed to `resolutions` and `heads`. Raises UserError where it cannot be."""
        space = SearchSpace.load(self.space)
        if self.resolutions is None and self.heads is None:
            return space
        return space.narrow(resolutions=self.resolutions, heads=self.heads)

    def load_validated(self, skeleton: Skeleton) -> tuple[Annotations, ...]:
        """What finished networks are validated on: `workflow.test`, else as `DataConfig.load_val` says."""
        test = self.workflow.test
        return self.data.load(test, skeleton) if test else self.data.load_val(skeleton)


def load_config(source: str | Path, overrides: Iterable[str] = ()) -> SupernetConfig:
    """A supernet's recipe from a path or a shipped name, with `a.b=c` overrides; its paths are absolute.

    Paths in a recipe of one's own start from its folder; those of shipped recipes and of overrides from the
    current one.

    Raises:
        UserError: no such file, not YAML, or a field is wrong; the message names it.
    """
    path = locate("supernets", source, ".yaml")
    values = _read_yaml(path)
    if not is_shipped("supernets", path):
        values = anchored(SupernetConfig, values, path.parent)
    return SupernetConfig.read(overridden(SupernetConfig, values, overrides), str(path))


def overridden(
    model: type[StrictModel], values: Mapping[str, Any], overrides: Iterable[str]
) -> dict[str, Any]:
    """Plain data of a model with `a.b=c` overrides, whose paths start from the current folder."""
    found: dict[str, Any] = anchored(model, override(values, overrides), Path.cwd())
    return found


def absolute(config: _Config) -> _Config:
    """A configuration whose relative paths, which start from the current folder, are made absolute."""
    values = overridden(type(config), config.model_dump(mode="json"), ())
    return type(config).read(values, "configuration")


def _read_yaml(path: Path) -> dict[str, Any]:
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a mapping of fields, such as `space: person-crop`")
    return plain_copy(values)
