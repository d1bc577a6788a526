"""What training starts from: weights of ours, or a released LitePose checkpoint."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from nas.errors import UserError
from nas.layers import ElasticBatchNorm2d
from nas.models import PoseNet, load_into
from nas.models.leading import fill_leading, has_room
from nas.runs.config import InitConfig
from nas.shipped import locate
from nas.train.backbone import initialise_backbone
from nas.train.litepose_checkpoint import is_litepose_checkpoint, read_litepose_checkpoint

_log = logging.getLogger(__name__)


def start_from(net: PoseNet, init: InitConfig | None) -> None:
    """Put the weights that a recipe starts from into a network. Raises UserError where they do not fit."""
    if init is None:
        return
    if init.zero_residual:
        zero_residual(net)
    if init.backbone is not None:
        initialise_backbone(net, locate("supernets", init.backbone, ".safetensors"))
    if init.weights is not None:
        initialise(net, locate("supernets", init.weights, ".safetensors"))


@torch.no_grad()
def zero_residual(net: PoseNet) -> None:
    """Let residual blocks pass on what comes in at first, by scale 0 of their last norm (Goyal et al. 2017).

    Raises:
        UserError: no block adds what comes in to the output of a norm.
    """
    norms = [getattr(module, "residual_norm", None) for module in net.modules()]
    found = [norm for norm in norms if isinstance(norm, ElasticBatchNorm2d)]
    if not found:
        raise UserError(
            f"init.zero_residual: no block of space {net.space.name!r} adds its input to what a norm gives; "
            "leave it out"
        )
    for norm in found:
        norm.weight.zero_()
    _log.info("%d residual blocks start by passing on what comes in", len(found))


def initialise(net: PoseNet, source: Path | str) -> int:
    """Put the weights of a file into a network, by name.

    A supernet's are sliced to those of a network within its space, or of a space within it; else narrower
    ones fill the leading channels.

    Returns:
        How many of the network's parameters were initialised.

    Raises:
        UserError: the file cannot be read, or nothing in it fits.
    """
    path = Path(source)
    if is_litepose_checkpoint(path):
        fitted = _fill(net, read_litepose_checkpoint(path), path)
    else:
        fitted, _ = load_into(net, path)
    _log.info("initialised %d of %d parameters from %s", fitted, len(list(net.parameters())), path)
    return fitted


@torch.no_grad()
def _fill(net: PoseNet, tensors: Mapping[str, Tensor], path: Path) -> int:
    parameters = dict(net.named_parameters())
    fitted = 0
    for name, tensor in tensors.items():
        parameter = parameters.get(name)
        if parameter is None or not _fits(name, tensor, parameter):
            continue
        fill_leading(parameter, tensor)
        fitted += 1
    if fitted == 0:
        raise UserError(f"{path}: none of its weights fit this network (other skeleton, widths or kernels)")
    return fitted


def _fits(name: str, tensor: Tensor, parameter: Tensor) -> bool:
    """Whether a tensor fills the leading channels; in heads the joints must be the same."""
    joints = name.startswith("heads.") and ".pointwise." in name
    return has_room(parameter, tensor) and (not joints or len(tensor) == len(parameter))
