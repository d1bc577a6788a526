"""One training as the loop takes it, and the one builder of it, for supernets and single networks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn

from nas.data import KeypointDataset, Loader
from nas.models import PoseNet
from nas.runs.calibration import CalibrationImages
from nas.runs.config import Recipe, SupernetConfig
from nas.runs.data import RunData
from nas.space import Arch
from nas.train.checkpoint import CheckpointStore
from nas.train.feed import BatchPart, Feed
from nas.train.identity import samples_identity
from nas.train.initialise import start_from
from nas.train.plan import Draw, Planner
from nas.train.processes import on_first_process
from nas.train.rules import Rule
from nas.train.scoring import build_scorer
from nas.train.weighting import LearnedWeights, fixed_sum, learned_weights


@dataclass(frozen=True)
class Job:
    """One training: what learns what, and where it is kept.

    Args:
        title: for the progress bar.
        net: the network, on the device; its weights are where training starts from.
        rule: what a step learns from.
        planner: what a step draws.
        feed: (first step, end) -> the parts of every step of this process, in order.
        recipe: optimizer, schedule, batch ...
        steps: length.
        folder: of checkpoints, metrics and events.
        config: of the run: how often checkpoints, metrics and validation come, the seed.
        identity: digests of what plans are drawn from.
        validate: scores the averaged network; called on all processes, which share the work.
        weighting: learned weights of the loss's terms, if they are; `rule` uses them.
    """

    title: str
    net: PoseNet
    rule: Rule
    planner: Planner
    feed: Callable[[int, int], Iterable[list[BatchPart]]]
    recipe: Recipe
    steps: int
    folder: Path
    config: SupernetConfig
    identity: Mapping[str, str]
    validate: Callable[[PoseNet], Mapping[str, float]] | None
    weighting: LearnedWeights | None

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """All that is learned, of the network and beside it."""
        beside = self.weighting.named_parameters() if self.weighting else ()
        return [*self.net.named_parameters(), *beside]


def prepare_network(net: PoseNet, recipe: Recipe, folder: Path, fabric: Fabric) -> None:
    """Put a new network onto this process's device, with the weights that the recipe starts from.

    Every process has to call this. With a checkpoint in the folder, what training started from may be gone.
    """
    if fabric.broadcast(not CheckpointStore(folder / "checkpoints", keep=1).paths()):
        start_from(net, recipe.init)
    net.to(device=fabric.device, dtype=_dtype(recipe), memory_format=torch.channels_last)  # type: ignore[call-overload]


def build_job(
    net: PoseNet,
    *,
    data: RunData,
    dataset: KeypointDataset,
    recipe: Recipe,
    title: str,
    folder: Path,
    fabric: Fabric,
    draw: Draw,
    rule: Callable[..., Rule],
    teacher: bool,
    identity: Mapping[str, str],
    calibration: Callable[[], CalibrationImages],
    scored: Mapping[str, Arch],
) -> Job:
    """What a recipe makes of a network, in a run; every process has to call this.

    Args:
        net: on the device.
        data: of the run.
        dataset: that it learns from.
        title: for the progress bar.
        folder: of checkpoints and metrics.
        draw: the networks of a step.
        rule: given `weighting`, what a step learns from.
        teacher: whether there is a distance to a teacher among the loss's terms.
        identity: digests of what plans are drawn from, besides the samples.
        calibration: opens the images that calibrate what is validated.
        scored: architectures to validate, by name.

    Raises:
        UserError: a batch that cannot be divided; a validation set that cannot be loaded.
    """
    config, samples = data.config, len(dataset.order)
    late = config.data.late_augment
    steps = recipe.total_steps(samples)
    planner = Planner(
        seed=config.seed,
        order=dataset.order,
        batch=recipe.batch,
        draw=draw,
        late_from=None if late is None else late.first_step(steps),
    )
    weighting = learned_weights(net, teacher=teacher) if recipe.loss_weighting == "auto" else None
    scorer = on_first_process(fabric, partial(build_scorer, data, calibration, fabric))
    return Job(
        title=title,
        net=net,
        rule=rule(weighting=weighting or fixed_sum),
        planner=planner,
        feed=_feed(dataset, planner, recipe, config, fabric),
        recipe=recipe,
        steps=steps,
        folder=folder,
        config=config,
        identity={**samples_identity(dataset), **identity},
        validate=None if scorer is None else lambda averaged: scorer(averaged, scored),
        weighting=weighting,
    )


def _feed(
    dataset: KeypointDataset, planner: Planner, recipe: Recipe, config: SupernetConfig, fabric: Fabric
) -> Feed:
    """A feed with workers of its own."""
    loader = Loader(
        dataset,
        workers=config.data.workers,
        pin_memory=fabric.device.type == "cuda",
        bad_share=config.data.bad_share,
    )
    return Feed(
        loader, planner, fabric, batch=recipe.batch, accumulate=recipe.accumulate, dtype=_dtype(recipe)
    )


def _dtype(recipe: Recipe) -> torch.dtype:
    """Of the weights."""
    return torch.float64 if recipe.precision == "64-true" else torch.float32
