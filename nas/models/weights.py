"""Weights files: one safetensors file that is enough by itself."""

import json
from collections.abc import Mapping
from operator import le
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from nas.errors import UserError
from nas.files import write_bytes
from nas.layers import ElasticBatchNorm2d
from nas.models.net import PoseNet
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton
from nas.space.space import SearchSpace

FORMAT_VERSION = 1
METADATA_KEY = "nas"


def save_weights(
    path: Path | str, net: PoseNet, *, notes: Mapping[str, Any] | None = None, kept: str = ""
) -> None:
    """Write a network with its space or architecture, skeleton and embedded statistics, atomically.

    Args:
        path: the safetensors file.
        net: a supernet, or a plain network with or without statistics.
        notes: anything JSON that says where the weights come from.
        kept: what stays as it was where they cannot be written, for the message.

    Raises:
        UserError: the disk is full, or refuses; a former file stays as it was.
    """
    path = Path(path)
    metadata = {
        "version": FORMAT_VERSION,
        "skeleton": net.skeleton.to_json(),
        "notes": dict(notes or {}),
        **({"arch": net.arch.to_json()} if net.arch else {"space": net.space.to_json()}),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    write_bytes(path, save(tensors, {METADATA_KEY: json.dumps(metadata)}), kept=kept)


def load_weights(path: Path | str) -> PoseNet:
    """The network of a weights file, in eval mode; statistics are embedded where the file holds them.

    Raises:
        UserError: no such file, or not a weights file of this project.
    """
    metadata, tensors = read_weights(path)
    try:
        skeleton = Skeleton.from_json(metadata["skeleton"])
        over = (
            Arch.from_json(metadata["arch"])
            if "arch" in metadata
            else SearchSpace.from_json(metadata["space"])
        )
        net = PoseNet(over, skeleton)
        _allow_statistics(net, tensors)
        net.load_state_dict(tensors)
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{path}: does not fit the network that it describes ({_line(error)})") from None
    return net.eval()


def read_weights(path: Path | str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Metadata and tensors of a weights file. Raises UserError as `load_weights` does."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = (file.metadata() or {}).get(METADATA_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a safetensors file ({_line(error)})") from None
    if metadata is None:
        raise UserError(f"{path}: a safetensors file, but not one with weights of this project")
    parsed: dict[str, Any] = json.loads(metadata)
    if parsed.get("version") != FORMAT_VERSION:
        raise UserError(
            f"{path}: weights format {parsed.get('version')}, this version reads {FORMAT_VERSION}"
        )
    return parsed, tensors


def load_into(net: PoseNet, path: Path | str) -> tuple[int, int]:
    """Initialise a network from a weights file, by name; narrower tensors fill the leading channels.

    Heads for other joints are left out: their channels mean something else.

    Returns:
        How many of the network's parameters were initialised, and how many it has.

    Raises:
        UserError: nothing in the file fits.
    """
    metadata, tensors = read_weights(path)
    if metadata["skeleton"] != net.skeleton.to_json():
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("heads.")}
    parameters = dict(net.named_parameters())
    fitting = 0
    with torch.no_grad():
        for name, tensor in tensors.items():
            parameter = parameters.get(name)
            if parameter is None or not _fits(tensor.shape, parameter.shape):
                continue
            parameter[tuple(slice(0, size) for size in tensor.shape)] = tensor
            fitting += 1
    if fitting == 0:
        raise UserError(f"{path}: none of its weights fit this network")
    return fitting, len(parameters)


def _fits(shape: torch.Size, room: torch.Size) -> bool:
    """Whether a tensor fills the leading channels of a parameter; kernels and grids must be the same."""
    same_rank = len(shape) == len(room)
    return same_rank and shape[2:] == room[2:] and all(map(le, shape[:2], room[:2]))


def _allow_statistics(net: PoseNet, tensors: Mapping[str, torch.Tensor]) -> None:
    for module in net.modules():
        if isinstance(module, ElasticBatchNorm2d) and f"{module.key}.running_mean" in tensors:
            module.embed(torch.zeros(module.num_features), torch.ones(module.num_features))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
