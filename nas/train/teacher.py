"""Teachers of fine-tuning: a trained network from a file, or the supernet's largest."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from nas.errors import UserError
from nas.heads import Outputs
from nas.models import PoseNet, load_weights, transfer
from nas.runs.calibration import CalibrationImages
from nas.space import Arch
from nas.train.pool import setting_of
from nas.train.processes import spread

Teacher = Callable[[Tensor], Outputs]
"""Normalised images [B, 3, H, W] at the student's resolution -> the teacher's outputs."""


def given_teacher(source: Path | str, student: PoseNet) -> Teacher:
    """A trained network whose outputs can be compared with a plain network's.

    It may be of any size, and see the images at a resolution of its own: they are resized for it.

    Args:
        source: its weights file.
        student: on the device and in the precision of training; put into training mode.

    Raises:
        UserError: the file cannot be read, holds no trained single network, or one of another head, skeleton
            or shape of input, or whose outputs are of other shapes.
    """
    path = Path(source)
    teacher = load_weights(path)
    arch = student.resolve(None)
    _require_comparable(path, teacher, student, arch)
    reference = next(student.parameters())
    teacher = teacher.requires_grad_(False).to(reference)
    size = teacher.resolve(None).resolution

    def outputs(images: Tensor) -> Outputs:
        if tuple(images.shape[2:]) != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        found: Outputs = teacher(images)
        return found

    _require_same_shapes(path, outputs, student, arch)
    return outputs


def largest_teacher(
    supernet: PoseNet, student: PoseNet, calibration: CalibrationImages, fabric: Fabric
) -> Teacher:
    """The supernet's largest network of the student's setting; every process has to call this.

    Args:
        supernet: whose network teaches.
        student: on the device and in the precision of training.
        calibration: for the teacher's statistics.
        fabric: of the training.
    """
    supernet = supernet.to(fabric.device)
    largest = setting_of(student.resolve(None)).largest(supernet.space)
    statistics = calibration.statistics(supernet, largest, share=partial(spread, fabric))
    plain = transfer(supernet, largest, statistics).to(next(student.parameters()))
    return lambda images: plain(images)


def _require_comparable(path: Path, teacher: PoseNet, student: PoseNet, arch: Arch) -> None:
    known = teacher.arch
    if known is None:
        raise UserError(
            f"{path}: a teacher is a single network, not a supernet; `nas transfer` takes one out"
        )
    if not teacher.is_calibrated:
        raise UserError(f"{path}: a teacher needs batch-norm statistics, which this file does not hold")
    for what, theirs, ours in (
        ("head", known.head.type, arch.head.type),
        ("skeleton", teacher.skeleton.name, student.skeleton.name),
        ("joints", teacher.skeleton.keypoints, student.skeleton.keypoints),
    ):
        if theirs != ours:
            raise UserError(f"{path}: a teacher needs the student's {what}: {theirs} there, {ours} here")
    (height, width), (h, w) = known.resolution, arch.resolution
    if height * w != h * width:
        raise UserError(
            f"{path}: a teacher needs an input of the student's proportions: "
            f"{height}x{width} there, {h}x{w} here"
        )


@torch.no_grad()
def _require_same_shapes(path: Path, teacher: Teacher, student: PoseNet, arch: Arch) -> None:
    images = torch.zeros(2, 3, *arch.resolution).to(next(student.parameters()))
    ours, theirs = student.train()(images), teacher(images)
    different = f"{path}: the teacher's outputs cannot be compared with the student's"
    for name, tensor in ours.items():
        if name in theirs and theirs[name].shape != tensor.shape:
            raise UserError(
                f"{different}: {name} is {_shape(theirs[name])} there, {_shape(tensor)} here; "
                "choose one of the same resolution, neck and head options"
            )
    try:
        student.head(arch).distill(ours, theirs)
    except KeyError as missing:  # some heads do with a part of the outputs, others need all
        raise UserError(f"{different}: it has no {missing.args[0]}, but {_names(theirs)}") from None


def _shape(output: Tensor) -> str:
    return "x".join(map(str, output.shape[1:]))


def _names(outputs: Mapping[str, Tensor]) -> str:
    return ", ".join(outputs)
