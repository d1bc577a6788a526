"""Supernet training: from a recipe to `runs/<name>/weights.safetensors`."""

import logging
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from rich.console import Console

from nas.graph import Tracer
from nas.latency import LatencyPredictor
from nas.models import PoseNet, save_weights
from nas.runs.config import SupernetConfig
from nas.runs.data import open_data
from nas.runs.folder import RunFolder
from nas.runs.streams import POOL, generator
from nas.runs.supernet import open_calibration
from nas.space import SearchSpace, Skeleton
from nas.train.clock import Deadline
from nas.train.distillation import require_distributions
from nas.train.faults import memory_for
from nas.train.helpers import joined_by
from nas.train.job import build_job, prepare_network
from nas.train.launch import launch
from nas.train.loop import fit
from nas.train.plan import SandwichDraw
from nas.train.pool import ArchPool, Costs
from nas.train.processes import alone_in, on_first_process
from nas.train.rules import SandwichRule
from nas.train.scoring import ends

_log = logging.getLogger(__name__)


def train_supernet(
    config: SupernetConfig, folder: Path | str, *, hours: float | None = None, console: Console | None = None
) -> RunFolder:
    """Train a supernet, going on where a former call was stopped; does nothing where it is finished.

    Args:
        config: the recipe.
        folder: the run's folder.
        hours: stop after so long, at the end of a step; None to go on to the end.
        console: where to show progress.

    Raises:
        Paused: after `hours`, with a checkpoint written; the same call goes on, to the same weights.
        UserError: a mistake in recipe or data; a folder with a run of another recipe, or that another process
            writes; a training that diverges; a full disk; too little memory.
        KeyboardInterrupt: after Ctrl-C, with a checkpoint written.
    """
    deadline = Deadline(hours)
    with joined_by(config.processes - 1, train_supernet, config, folder):
        fabric = launch(accelerator=config.accelerator, precision=config.precision, threads=config.threads)
        with alone_in(Path(folder), fabric), memory_for(config, device=fabric.device.type):
            return _train(config, folder, fabric, deadline, console)


def _train(
    config: SupernetConfig, folder: Path | str, fabric: Fabric, deadline: Deadline, console: Console | None
) -> RunFolder:
    run = on_first_process(fabric, partial(RunFolder.start, folder, config))
    given, config = config, run.keeping(config)
    space = config.load_space()
    data = on_first_process(fabric, partial(open_data, config, space, run))
    on_first_process(fabric, partial(run.record, given))
    if run.weights_file.is_file():
        _log.info("%s is trained already: %s", run.path, run.weights_file)
        return run

    torch.manual_seed(config.seed)
    net = PoseNet(space, Skeleton.load(config.skeleton), padding=config.data.padding)
    prepare_network(net, config, run.path, fabric)
    require_distributions(net, config.distillation.temperature)
    pool = draw_pool(config, space)
    sandwich, teaching = config.sandwich, config.distillation
    draw = SandwichDraw(
        space,
        random=sandwich.random,
        pool=pool,
        largest_first=sandwich.steps_alone(config.total_steps(len(data.training.order))),
        smallest_every=sandwich.smallest_every,
        largest_every=sandwich.largest_every,
        all_heads=config.sampling.heads == "all",
    )
    job = build_job(
        net,
        data=data,
        dataset=data.training,
        recipe=config,
        title=config.name,
        folder=run.path,
        fabric=fabric,
        draw=draw,
        rule=partial(
            SandwichRule,
            weight=teaching.weight,
            ramp=teaching.ramp,
            temperature=teaching.temperature,
            normalise=teaching.normalise,
        ),
        teacher=teaching.weight > 0,
        identity={"networks to sample (space or predictor)": pool.digest} if pool else {},
        calibration=partial(open_calibration, run, data),
        scored=ends(space),
    )
    averaged = fit(job, fabric, console=console, deadline=deadline)
    if fabric.is_global_zero:
        if not run.inputs.kept:  # an earlier version began; what changed since would have been noticed
            run.inputs.keep(given)
        notes = {"run": run.path.name, "recipe": config.name, "images": job.steps * config.batch}
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
