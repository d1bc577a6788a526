"""Pretrained backbones: weights of a network with other heads as the start of this one's body."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nas.errors import UserError
from nas.models import PoseNet, parameters_for
from nas.models.leading import fill_leading, has_room
from nas.train.litepose_checkpoint import is_litepose_checkpoint, read_litepose_checkpoint

_BODY = ("stems.", "stages.")
_NECK = "necks."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Initialisation:
    """What of a network came from a file.

    Args:
        parts: for the backbone, and each neck that anything was found for: how many of its parameters were
            taken, and how many it has.
        left_out: parts of the file that were not taken, or not wholly, with the number of their tensors.
    """

    parts: Mapping[str, tuple[int, int]]
    left_out: Mapping[str, int]

    def __str__(self) -> str:
        taken = ", ".join(
            f"{part} {count} of {total} parameters" for part, (count, total) in self.parts.items()
        )
        left = ", ".join(f"{part} ({count})" for part, count in self.left_out.items())
        return f"{taken}; not taken: {left or 'nothing'}"


@torch.no_grad()
def initialise_backbone(net: PoseNet, source: Path | str) -> Initialisation:
    """Start a network's stem and stages, and necks where they agree, from a file of other heads' weights.

    A network, or a supernet, gets its slice of a supernet that holds it. Else the backbones have to be the
    same; only a supernet also takes a smaller one into its leading channels and first blocks. Of the necks
    those tensors are taken whose names and shapes agree; heads and batch-norm statistics never are.

    Args:
        net: changed in place.
        source: a weights file of this project, or a released LitePose checkpoint.

    Raises:
        UserError: the file cannot be read, or its backbone is of other layers.
    """
    path = Path(source)
    tensors = _tensors(path, net)
    parameters = dict(net.named_parameters())
    body = {name: tensor for name, tensor in tensors.items() if name.startswith(_BODY)}
    _require_fit(path, body, parameters, exact=net.arch is not None)
    necks = {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith(_NECK) and name in parameters and parameters[name].shape == tensor.shape
    }
    for name, tensor in (body | necks).items():
        fill_leading(parameters[name], tensor)
    initialisation = _initialisation(tensors, body | necks, parameters)
    _log.info("initialised from %s: %s", path, initialisation)
    return initialisation


def _tensors(path: Path, net: PoseNet) -> dict[str, Tensor]:
    """The file's parameters by name; of a supernet's file those of the networks that `net` holds."""
    if is_litepose_checkpoint(path):
        return read_litepose_checkpoint(path)
    tensors, reason = parameters_for(net, path)
    if reason is not None and net.arch is not None:
        raise UserError(f"{path}: {reason}")
    return tensors


def _require_fit(
    path: Path, body: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter], *, exact: bool
) -> None:
    """Raises UserError for tensors without room here and, if `exact`, for a body that is not the same."""
    if not body:
        raise UserError(f"{path}: holds no backbone")
    missing = [name for name in parameters if name.startswith(_BODY) and name not in body]
    for name, tensor in body.items():
        room = parameters.get(name)
        if room is None:
            raise UserError(f"{path}: its backbone is of other layers: {name} is not in this network")
        if not (tensor.shape == room.shape if exact else has_room(room, tensor)):
            shapes = f"{list(tensor.shape)} there, {list(room.shape)} here"
            raise UserError(f"{path}: its backbone is of other layers: {name} is {shapes}")
    if exact and missing:
        raise UserError(f"{path}: its backbone is of other layers: it lacks {missing[0]}")


def _initialisation(
    tensors: Mapping[str, Tensor], taken: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter]
) -> Initialisation:
    totals, counts = Counter(map(_part, parameters)), Counter(map(_part, taken))
    left = Counter(_part(name) for name in tensors if name not in taken)
    return Initialisation({part: (counts[part], totals[part]) for part in counts}, dict(left))


def _part(name: str) -> str:
    """The part of a network that a parameter belongs to, as a person says it."""
    parts = name.split(".")
    if name.startswith(_BODY):
        return "backbone"
    return f"neck {parts[1]}" if name.startswith(_NECK) else f"head {parts[2]}"
