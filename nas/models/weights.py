"""Weights files: one safetensors file that is enough by itself."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from nas.codecs.exported import padding_of
from nas.documents import Fields, parse_json
from nas.errors import UserError
from nas.files import require_file, write_bytes
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
        "padding": net.padding,
        "notes": dict(notes or {}),
        **({"arch": net.arch.to_json()} if net.arch else {"space": net.space.to_json()}),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    write_bytes(path, save(tensors, {METADATA_KEY: json.dumps(metadata)}), kept=kept)


def load_weights(path: Path | str) -> PoseNet:
    """The network of a weights file, in eval mode; statistics are embedded where the file holds them.

    Raises:
        UserError: no such file, not a weights file of this project, or weights that are not finite.
    """
    return network_of(path, *read_weights(path))


def network_of(path: Path | str, metadata: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> PoseNet:
    """The network of what `read_weights` read. Raises UserError where they do not fit each other."""
    source = f"{path}: metadata"
    skeleton = Skeleton.from_json(metadata["skeleton"], source=f"{source}.skeleton")
    over: Arch | SearchSpace
    if "arch" in metadata:
        over = Arch.from_json(metadata["arch"], source=f"{source}.arch")
    else:
        over = SearchSpace.from_json(metadata["space"], source=f"{source}.space")
    try:
        with _no_larger_than(tensors):
            net = PoseNet(over, skeleton, padding=metadata["padding"])
        _allow_statistics(net, tensors)
        net.load_state_dict(tensors)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path}: does not fit the network that it describes ({_line(error)})") from None
    return net.eval()


def read_weights(path: Path | str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Metadata and tensors of a weights file. Raises UserError as `load_weights` does."""
    path = Path(path)
    require_file(path, "weights")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{path}: not a safetensors file ({_line(error)})") from None
    if text is None:
        raise UserError(f"{path}: a safetensors file, but not one with weights of this project")
    metadata = _metadata(text, f"{path}: metadata")
    require_finite(path, tensors)
    return metadata, tensors


def require_finite(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise UserError where a file's weights are not all finite numbers."""
    for name, tensor in tensors.items():
        count = int((~torch.isfinite(tensor.double())).sum()) if tensor.is_floating_point() else 0
        if count:
            raise UserError(f"{path}: weights {name} hold {count} numbers that are not finite")


def _metadata(text: str, source: str) -> dict[str, Any]:
    """The fields of the metadata, of which the skeleton and either the arch or the space are mappings."""
    fields = Fields(parse_json(text, source), source)
    version = fields.integer("version")
    if version != FORMAT_VERSION:
        raise UserError(f"{source}: weights format {version}, this version reads {FORMAT_VERSION}")
    described = "space" if "space" in fields.names and "arch" not in fields.names else "arch"
    found = {name: fields.mapping(name) for name in ("skeleton", described)}
    notes = fields.mapping("notes") if "notes" in fields.names else {}
    return {"version": version, **found, "padding": padding_of(fields), "notes": notes}


def _allow_statistics(net: PoseNet, tensors: Mapping[str, torch.Tensor]) -> None:
    for module in net.modules():
        if isinstance(module, ElasticBatchNorm2d) and f"{module.key}.running_mean" in tensors:
            module.embed(torch.zeros(module.num_features), torch.ones(module.num_features))


@contextmanager
def _no_larger_than(tensors: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Within, building a network of more weights than a file holds raises ValueError.

    That is before they are initialised: what a file describes may be larger than any memory.
    """
    # Twice: some modules register what they inherit and then what they put in its place.
    room = 2 * sum(tensor.numel() for tensor in tensors.values())

    def take(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal room
        room -= 0 if parameter is None else parameter.numel()
        if room < 0:
            raise ValueError("it describes more weights than it holds")

    handle = register_module_parameter_registration_hook(take)
    try:
        yield
    finally:
        handle.remove()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
