"""Supernet training: from a recipe to `runs/<name>/weights.safetensors`."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from rich.console import Console

from nas.data import DataConfig, KeypointDataset, Loader
from nas.errors import UserError
from nas.graph import Tracer
from nas.latency import LatencyPredictor
from nas.locks import sole_process
from nas.models import PoseNet, save_weights
from nas.runs.config import Recipe, SupernetConfig
from nas.runs.data import RunData, open_data
from nas.runs.folder import RunFolder
from nas.runs.streams import POOL, generator
from nas.runs.supernet import open_calibration
from nas.space import SearchSpace, Skeleton
from nas.train.checkpoint import CheckpointStore
from nas.train.faults import memory_for
from nas.train.feed import Feed
from nas.train.identity import samples_identity
from nas.train.initialise import start_from
from nas.train.launch import launch
from nas.train.loop import Job, fit
from nas.train.plan import Draw, Planner, SandwichDraw
from nas.train.pool import ArchPool, Costs
from nas.train.rules import SandwichRule
from nas.train.scoring import Scorer, ends
from nas.train.weighting import LearnedWeights, fixed_sum, learned_weights

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def train_supernet(
    config: SupernetConfig, folder: Path | str, *, console: Console | None = None
) -> RunFolder:
    """Train a supernet, going on where a former call was stopped; does nothing where it is finished.

    Args:
        config: the recipe.
        folder: the run's folder.
        console: where to show progress.

    Raises:
        UserError: a mistake in recipe or data; a folder with a run of another recipe, or that another process
            writes; a diverging run; a full disk; too little memory.
        KeyboardInterrupt: after Ctrl-C, with a checkpoint written.
    """
    fabric = launch(accelerator=config.accelerator, precision=config.precision, threads=config.threads)
    with alone_in(Path(folder), fabric), memory_for(config, device=fabric.device.type):
        return _train(config, folder, fabric, console)


def _train(config: SupernetConfig, folder: Path | str, fabric: Fabric, console: Console | None) -> RunFolder:
    run = on_first_process(fabric, partial(RunFolder.start, folder, config))
    given, config = config, run.keeping(config)
    space = config.load_space()
    data = on_first_process(fabric, partial(open_data, config, space, run))
    on_first_process(fabric, partial(run.record, given))
    if run.weights_file.is_file():
        _log.info("%s is trained already: %s", run.path, run.weights_file)
        return run

    torch.manual_seed(config.seed)
    net = PoseNet(space, Skeleton.load(config.skeleton))
    if begins(run.path, fabric):
        start_from(net, config.init)
    net = place(net, fabric, config)
    pool = draw_pool(config, space)
    draw = SandwichDraw(space, random=config.sandwich.random, pool=pool)
    planner = build_planner(data.training, draw, config, config)
    weighting = build_weighting(net, config, teacher=config.distillation.weight > 0)
    score = on_first_process(fabric, partial(_scorer, config, data, run, fabric))
    averaged = fit(
        Job(
            title=config.name,
            net=net,
            rule=SandwichRule(
                weight=config.distillation.weight,
                ramp=config.distillation.ramp,
                weighting=weighting or fixed_sum,
            ),
            weighting=weighting,
            planner=planner,
            feed=build_feed(data.training, planner, fabric, config, config.data),
            recipe=config,
            steps=config.total_steps(len(data.training.order)),
            folder=run.path,
            checkpoint=config.checkpoint,
            log_every=config.log_every,
            seed=config.seed,
            identity={
                **samples_identity(data.training),
                **({"networks to sample (space or predictor)": pool.digest} if pool else {}),
            },
            validate=None if score is None else lambda averaged: score(averaged, ends(space)),
            validate_every=config.validation.every,
        ),
        fabric,
        console=console,
    )
    if fabric.is_global_zero:
        if not run.inputs.kept:  # an earlier version began; what changed since would have been noticed
            run.inputs.keep(given)
        notes = {"run": run.path.name, "recipe": config.name, "images": _images_seen(config, data)}
        save_weights(run.weights_file, averaged.float(), notes=notes, kept="the last checkpoint is whole")
        _log.info("supernet written to %s", run.weights_file)
    fabric.barrier()
    return run


def draw_pool(config: SupernetConfig, space: SearchSpace) -> ArchPool | None:
    """The pool that random networks are drawn from; None where they are drawn uniformly over choices.

    Raises:
        UserError: the predictor cannot be read, or cannot predict this space.
    """
    sampling = config.sampling
    if sampling.fair == "uniform":
        return None
    return ArchPool.draw(
        space,
        generator(config.seed, POOL),
        size=sampling.pool,
        bins=sampling.bins,
        costs=_costs(config, space),
    )


def _costs(config: SupernetConfig, space: SearchSpace) -> Costs:
    tracer = Tracer(space, config.skeleton, anonymous=True)
    sampling = config.sampling
    if sampling.fair == "latency" and sampling.predictor is not None:
        predictor = LatencyPredictor.load(Path(sampling.predictor), allow_other_device=True)
        if predictor.remark is not None:
            _log.warning("%s", predictor.remark)
        _log.info("random networks are drawn evenly over predicted ms on %s", predictor.device)
        return lambda archs: predictor.predict_ms(archs, tracer=tracer).tolist()
    _log.info("random networks are drawn evenly over MACs")
    return lambda archs: [float(tracer(arch).macs) for arch in archs]


def build_planner(dataset: KeypointDataset, draw: Draw, recipe: Recipe, config: SupernetConfig) -> Planner:
    """What every step of a training by this recipe, in a run of that configuration, learns from."""
    late = config.data.late_augment
    return Planner(
        seed=config.seed,
        order=dataset.order,
        batch=recipe.batch,
        draw=draw,
        late_from=None if late is None else late.first_step(recipe.total_steps(len(dataset.order))),
    )


def build_weighting(net: PoseNet, recipe: Recipe, *, teacher: bool) -> LearnedWeights | None:
    """The learned weights of the loss's terms, where the recipe wants them learned."""
    return learned_weights(net, teacher=teacher) if recipe.loss_weighting == "auto" else None


def build_feed(
    dataset: KeypointDataset, planner: Planner, fabric: Fabric, recipe: Recipe, data: DataConfig
) -> Feed:
    """A feed with workers of its own."""
    loader = Loader(
        dataset,
        workers=data.workers,
        pin_memory=fabric.device.type == "cuda",
        bad_share=data.bad_share,
    )
    return Feed(
        loader, planner, fabric, batch=recipe.batch, accumulate=recipe.accumulate, dtype=dtype_of(recipe)
    )


def place(net: PoseNet, fabric: Fabric, recipe: Recipe) -> PoseNet:
    """The network on this process's device, in the recipe's precision."""
    net.to(device=fabric.device, dtype=dtype_of(recipe), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def dtype_of(recipe: Recipe) -> torch.dtype:
    """Of the weights."""
    return torch.float64 if recipe.precision == "64-true" else torch.float32


def alone_in(folder: Path, fabric: Fabric) -> AbstractContextManager[None]:
    """Keeps all other runs out of a folder; the first process of this one does so for all of them."""
    return sole_process(folder) if fabric.is_global_zero else nullcontext()


def begins(folder: Path, fabric: Fabric) -> bool:
    """Whether a training has no checkpoint in its folder yet: only then it needs what it starts from.

    Every process has to call this.
    """
    return bool(fabric.broadcast(not CheckpointStore(folder / "checkpoints", keep=1).paths()))


def on_first_process(fabric: Fabric, action: Callable[[], _T]) -> _T:
    """Run an action on the first process, then, with its files in place, on the others.

    Where the action raises UserError on the first, the others end quietly with it.
    """
    mistake: str | None = None
    if fabric.is_global_zero:
        try:
            result = action()
        except UserError as error:
            mistake = str(error)
    # What went wrong there ends all processes alike, instead of leaving them waiting for it.
    mistake = fabric.broadcast(mistake)
    if mistake is not None and fabric.is_global_zero:
        raise UserError(mistake)
    if mistake is not None:
        raise SystemExit(2)  # the first process says it
    if not fabric.is_global_zero:
        result = action()
    return result


def _scorer(config: SupernetConfig, data: RunData, run: RunFolder, fabric: Fabric) -> Scorer | None:
    if not config.data.val:
        return None
    return Scorer(
        data.validation[0],
        images=config.validation.images,
        calibration=open_calibration(run, data),
        padding=config.data.padding,
        fabric=fabric,
    )


def _images_seen(config: SupernetConfig, data: RunData) -> int:
    return config.total_steps(len(data.training.order)) * config.batch
