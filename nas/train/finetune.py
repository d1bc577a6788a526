"""From a trained supernet to finished subnets: transfer, fine-tuning, and the same network from scratch."""

import logging
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from rich.console import Console

from nas.digests import file_digest
from nas.errors import UserError
from nas.files import one_component
from nas.models import PoseNet, save_weights, transfer
from nas.runs.calibration import CalibrationImages
from nas.runs.config import FinetuneConfig, SupernetConfig, absolute
from nas.runs.data import open_data
from nas.runs.folder import RunFolder
from nas.runs.subnet_training import record_training
from nas.runs.supernet import load_supernet, open_calibration
from nas.space import Arch, SearchSpace
from nas.train.clock import Deadline
from nas.train.compilation import compile_network
from nas.train.faults import memory_for
from nas.train.helpers import joined_by
from nas.train.job import build_job, prepare_network
from nas.train.launch import launch
from nas.train.loop import fit
from nas.train.plan import SingleDraw
from nas.train.processes import alone_in, on_first_process, spread
from nas.train.rules import PlainRule
from nas.train.state import not_finite
from nas.train.teacher import Teacher, given_teacher, largest_teacher

_log = logging.getLogger(__name__)


def transfer_subnet(folder: RunFolder | Path | str, arch: Arch, *, name: str | None = None) -> Path:
    """Write the calibrated weights that an architecture inherits from a run's supernet.

    Args:
        folder: of a run whose supernet is trained.
        arch: one of the run's space.
        name: of the file in `subnets/`; the architecture's id by default, with `-inherited` after it.

    Returns:
        The weights file.

    Raises:
        UserError: no trained supernet, or the architecture is not in its space (says which field).
    """
    run = RunFolder.open(folder)
    config = run.config()
    supernet = load_supernet(run)
    _require_member(supernet.space, arch)
    data = open_data(config, supernet.space, run)
    subnet = transfer(supernet, arch, open_calibration(run, data).statistics(supernet, arch))
    name = one_component(f"{name or arch.id}-inherited", "`name`")
    path = run.subnets_folder / f"{name}.safetensors"
    _require_finite(subnet, name)
    save_weights(path, subnet, notes={"run": run.path.name, "training": "inherited from the supernet"})
    return path


def finetune_subnet(
    folder: RunFolder | Path | str,
    arch: Arch,
    *,
    recipe: FinetuneConfig | None = None,
    name: str | None = None,
    scratch: bool = False,
    seed: int | None = None,
    processes: int | None = None,
    hours: float | None = None,
    console: Console | None = None,
) -> Path:
    """Train one architecture on from what it inherits, or alone from scratch; goes on where it was stopped.

    Args:
        folder: of a run whose supernet is trained.
        arch: one of the run's space.
        recipe: how; the run's own `finetune` section by default.
        name: of the file in `subnets/`; the architecture's id by default (with `-scratch` after it).
        scratch: start from random weights instead of the supernet's (a baseline).
        seed: of all draws; the run's own by default.
        processes: that share each step's batch; the run's own by default.
        hours: stop after so long, at the end of a step; None to go on to the end.
        console: where to show progress.

    Returns:
        The weights file, statistics embedded.

    Raises:
        Paused: after `hours`, with a checkpoint written; the same call goes on, to the same weights.
        UserError: no trained supernet, an architecture that is not in its space, a mistake in recipe or data.
        KeyboardInterrupt: after Ctrl-C, with a checkpoint written.
    """
    deadline = Deadline(hours)
    run = RunFolder.open(folder)
    config = run.config()
    recipe = absolute(recipe or config.finetune)
    _require_member(config.load_space(), arch)
    if not scratch and recipe.init is not None and recipe.init.zero_residual:
        raise UserError(
            "init.zero_residual: what is inherited has no such start; leave it out, or train from `scratch`"
        )
    if not scratch or (recipe.distillation > 0 and recipe.teacher is None):
        run.require_weights()
    title = one_component(name or (f"{arch.id}-scratch" if scratch else arch.id), "`name`")
    seed = None if seed == config.seed else seed
    same = {"recipe": recipe, "name": title, "scratch": scratch, "seed": seed}
    with joined_by((processes or config.processes) - 1, finetune_subnet, run, arch, **same):
        fabric = launch(accelerator=config.accelerator, precision=recipe.precision, threads=config.threads)
        with alone_in(run.work_folder(title), fabric), memory_for(recipe, device=fabric.device.type):
            return _finetune(
                run,
                arch,
                recipe,
                fabric,
                title=title,
                scratch=scratch,
                seed=seed,
                deadline=deadline,
                console=console,
            )


def _finetune(
    run: RunFolder,
    arch: Arch,
    recipe: FinetuneConfig,
    fabric: Fabric,
    *,
    title: str,
    scratch: bool,
    seed: int | None,
    deadline: Deadline,
    console: Console | None,
) -> Path:
    config = run.config()
    if seed is not None:
        config = config.model_copy(update={"seed": seed})
    data = on_first_process(fabric, partial(open_data, config, config.load_space(), run))
    calibration = on_first_process(fabric, partial(open_calibration, run, data))
    work = run.work_folder(title)
    path = run.subnets_folder / f"{title}.safetensors"
    on_first_process(fabric, partial(record_training, work, arch, recipe, scratch=scratch, seed=seed))

    net = _start(run, config, arch, calibration, fabric, scratch=scratch)
    prepare_network(net, recipe, work, fabric)
    teacher = _teacher(net, recipe, run, calibration, fabric)
    job = build_job(
        net,
        data=data,
        dataset=data.training_and_search if recipe.search_split else data.training,
        recipe=recipe,
        title=title,
        folder=work,
        fabric=fabric,
        draw=SingleDraw(arch),
        rule=partial(PlainRule, teacher=teacher, weight=recipe.distillation),
        teacher=teacher is not None,
        identity={"weights of the teacher": file_digest(recipe.teacher)} if recipe.teacher else {},
        calibration=lambda: calibration,
        scored={"subnet": arch},
    )
    if recipe.compile:
        compile_network(net, batch=recipe.batch // (fabric.world_size * recipe.accumulate), fabric=fabric)
    averaged = fit(job, fabric, console=console, deadline=deadline)
    averaged.float().embed(calibration.statistics(averaged, share=partial(spread, fabric)))
    _require_finite(averaged, title)
    if fabric.is_global_zero:
        _save(path, averaged, run=run, scratch=scratch, recipe=recipe)
    fabric.barrier()
    return path


def _require_finite(net: PoseNet, title: str) -> None:
    if broken := not_finite(net):
        raise UserError(
            f"{title}: {broken} is not finite, and it is not written: the training went astray; start a new "
            "one with a lower optimizer.lr or clip_norm"
        )


def _require_member(space: SearchSpace, arch: Arch) -> None:
    if reason := space.why_not(arch):
        raise UserError(f"architecture {arch.id} is not in space {space.name!r}: {reason}")


def _start(
    run: RunFolder,
    config: SupernetConfig,
    arch: Arch,
    calibration: CalibrationImages,
    fabric: Fabric,
    *,
    scratch: bool,
) -> PoseNet:
    torch.manual_seed(config.seed)
    if scratch:
        return PoseNet(arch, config.skeleton, padding=config.data.padding)
    supernet = load_supernet(run)
    net = transfer(supernet, arch, calibration.statistics(supernet, arch, share=partial(spread, fabric)))
    net.forget_statistics()
    return net


def _teacher(
    net: PoseNet, recipe: FinetuneConfig, run: RunFolder, calibration: CalibrationImages, fabric: Fabric
) -> Teacher | None:
    if recipe.distillation == 0:
        return None
    if recipe.teacher is not None:
        return given_teacher(recipe.teacher, net)
    return largest_teacher(load_supernet(run), net, calibration, fabric)


def _save(
    path: Path,
    averaged: PoseNet,
    *,
    run: RunFolder,
    scratch: bool,
    recipe: FinetuneConfig,
) -> None:
    training = "from scratch" if scratch else "fine-tuned from the supernet"
    notes = {"run": run.path.name, "training": training, "recipe": recipe.model_dump(mode="json")}
    save_weights(path, averaged, notes=notes, kept="the last checkpoint is whole")
    _log.info("%s written to %s", training, path)
