"""From a trained supernet to finished subnets: transfer, fine-tuning, and the same network from scratch."""

import json
import logging
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from rich.console import Console

from nas.errors import UserError
from nas.files import one_component, write_json
from nas.models import PoseNet, save_weights, transfer
from nas.runs.calibration import CalibrationImages
from nas.runs.config import FinetuneConfig, SupernetConfig, absolute, overridden
from nas.runs.data import RunData, open_data
from nas.runs.folder import RunFolder
from nas.runs.named_files import file_digest, moved_back, named_digests
from nas.runs.supernet import load_supernet, open_calibration
from nas.space import Arch, SearchSpace
from nas.train.compilation import compile_network
from nas.train.faults import memory_for
from nas.train.identity import samples_identity
from nas.train.initialise import start_from
from nas.train.launch import launch
from nas.train.loop import Job, fit
from nas.train.plan import SingleDraw
from nas.train.rules import PlainRule
from nas.train.scoring import Scorer
from nas.train.spread import spread
from nas.train.state import not_finite
from nas.train.supernet import (
    alone_in,
    begins,
    build_feed,
    build_planner,
    build_weighting,
    on_first_process,
    place,
)
from nas.train.teacher import Teacher, given_teacher, largest_teacher
from nas.train.weighting import fixed_sum

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
    name = one_component(f"{name or arch.id}-inherited", "name")
    path = run.subnets_folder / f"{name}.safetensors"
    _require_finite(subnet, name)
    save_weights(path, subnet, notes={"run": run.path.name, "training": "inherited from the supernet"})
    return path


def load_finetune_config(folder: RunFolder | Path | str, overrides: Iterable[str] = ()) -> FinetuneConfig:
    """A run's `finetune` section with `a.b=c` overrides. Raises UserError for a wrong field."""
    run = RunFolder.open(folder)
    values = overridden(FinetuneConfig, run.config().finetune.model_dump(mode="json"), overrides)
    return FinetuneConfig.read(values, f"{run.config_file}: finetune")


def finetune_subnet(
    folder: RunFolder | Path | str,
    arch: Arch,
    *,
    recipe: FinetuneConfig | None = None,
    name: str | None = None,
    scratch: bool = False,
    console: Console | None = None,
) -> Path:
    """Train one architecture on from what it inherits, or alone from scratch; goes on where it was stopped.

    Args:
        folder: of a run whose supernet is trained.
        arch: one of the run's space.
        recipe: how; the run's own `finetune` section by default.
        name: of the file in `subnets/`; the architecture's id by default (with `-scratch` after it).
        scratch: start from random weights instead of the supernet's (a baseline).
        console: where to show progress.

    Returns:
        The weights file, statistics embedded.

    Raises:
        UserError: no trained supernet, an architecture that is not in its space, a mistake in recipe or data.
        KeyboardInterrupt: after Ctrl-C, with a checkpoint written.
    """
    run = RunFolder.open(folder)
    config = run.config()
    recipe = absolute(recipe or config.finetune)
    _require_member(config.load_space(), arch)
    if not scratch or (recipe.distillation > 0 and recipe.teacher is None):
        run.require_weights()
    fabric = launch(accelerator=config.accelerator, precision=recipe.precision, threads=config.threads)
    title = one_component(name or (f"{arch.id}-scratch" if scratch else arch.id), "name")
    with alone_in(run.work_folder(title), fabric), memory_for(recipe, device=fabric.device.type):
        return _finetune(run, arch, recipe, fabric, title=title, scratch=scratch, console=console)


def _finetune(
    run: RunFolder,
    arch: Arch,
    recipe: FinetuneConfig,
    fabric: Fabric,
    *,
    title: str,
    scratch: bool,
    console: Console | None,
) -> Path:
    config = run.config()
    data = on_first_process(fabric, partial(open_data, config, config.load_space(), run))
    calibration = on_first_process(fabric, partial(open_calibration, run, data))
    work = run.work_folder(title)
    path = run.subnets_folder / f"{title}.safetensors"
    on_first_process(fabric, partial(_require_same, work, arch, recipe, scratch=scratch))

    net = _start(run, config, arch, calibration, fabric, scratch=scratch)
    if begins(work, fabric):
        start_from(net, recipe.init)
    dataset = data.training_and_search if recipe.search_split else data.training
    planner = build_planner(dataset, SingleDraw(arch), recipe, config)
    net = place(net, fabric, recipe)
    teacher = _teacher(net, recipe, run, calibration, fabric)
    weighting = build_weighting(net, recipe, teacher=teacher is not None)
    if recipe.compile:
        compile_network(net, batch=recipe.batch // (fabric.world_size * recipe.accumulate), fabric=fabric)
    averaged = fit(
        Job(
            title=title,
            net=net,
            rule=PlainRule(teacher=teacher, weight=recipe.distillation, weighting=weighting or fixed_sum),
            weighting=weighting,
            planner=planner,
            feed=build_feed(dataset, planner, fabric, recipe, config.data),
            recipe=recipe,
            steps=recipe.total_steps(len(dataset.order)),
            folder=work,
            checkpoint=config.checkpoint,
            log_every=config.log_every,
            seed=config.seed,
            identity={
                **samples_identity(dataset),
                **({"weights of the teacher": file_digest(recipe.teacher)} if recipe.teacher else {}),
            },
            validate=_validation(config, data, calibration, arch, fabric),
            validate_every=config.validation.every,
        ),
        fabric,
        console=console,
    )
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
        return PoseNet(arch, config.skeleton)
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
    return largest_teacher(load_supernet(run), net.resolve(None), calibration, fabric)


def _validation(
    config: SupernetConfig, data: RunData, calibration: CalibrationImages, arch: Arch, fabric: Fabric
) -> Callable[[PoseNet], dict[str, float]] | None:
    if not config.data.val:
        return None
    scorer = Scorer(
        data.validation[0],
        images=config.validation.images,
        calibration=calibration,
        padding=config.data.padding,
        fabric=fabric,
    )
    return lambda net: scorer(net, {"subnet": arch})


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


def _require_same(work: Path, arch: Arch, recipe: FinetuneConfig, *, scratch: bool) -> None:
    """Record what is trained in this folder. Raises UserError where it was something else."""
    record: dict[str, Any] = {
        "arch": arch.to_json(),
        "scratch": scratch,
        "recipe": recipe.model_dump(mode="json"),
    }
    path = work / "finetune.json"
    if not path.is_file():
        write_json(path, {**record, "files": named_digests(FinetuneConfig, record["recipe"])})
        return
    former = _former(path)
    if former:
        record["recipe"] = moved_back(FinetuneConfig, record["recipe"], former["recipe"], former["files"])
    differing = [name for name, value in record.items() if former.get(name) != value]
    if differing:
        raise UserError(
            f"{work} holds a training with another {' and '.join(differing)}; "
            "choose another --name, or delete that folder to start anew"
        )


def _former(path: Path) -> dict[str, Any]:
    """What a folder was used for, by its file; nothing where that is damaged."""
    try:
        former = json.loads(path.read_text())
    except ValueError:
        return {}
    if not isinstance(former, dict) or "recipe" not in former:
        return {}
    # One that an earlier version wrote lacks the fields that came later.
    recipe = FinetuneConfig.read(overridden(FinetuneConfig, former["recipe"], ()), str(path))
    files = former.get("files")
    return {
        **former,
        "recipe": recipe.model_dump(mode="json"),
        "files": files if isinstance(files, dict) else {},
    }
