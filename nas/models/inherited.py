"""What a weights file holds for a network that is not the file's own."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.errors import UserError
from nas.models.leading import fill_leading, has_room
from nas.models.net import PoseNet
from nas.models.transfer import active_parameters
from nas.models.weights import network_of, read_weights
from nas.space.arch import Arch
from nas.space.manager import ArchManager
from nas.space.space import SearchSpace

_HEADS = "heads."
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def load_into(net: PoseNet, path: Path | str) -> tuple[int, int]:
    """Initialise a network from a weights file, by name; narrower tensors fill the leading channels.

    Heads for other joints are left out: their channels mean something else.

    Returns:
        The number of the network's parameters that were initialised, and that it has.

    Raises:
        UserError: nothing in the file fits.
    """
    read = read_weights(path)
    other_joints = read[0]["skeleton"] != net.skeleton.to_json()
    tensors, _ = _parameters(net, path, *read)
    parameters = dict(net.named_parameters())
    fitting = 0
    with torch.no_grad():
        for name, tensor in tensors.items():
            parameter = parameters.get(name)
            if parameter is None or not has_room(parameter, tensor):
                continue
            if other_joints and name.startswith(_HEADS):
                continue
            fill_leading(parameter, tensor)
            fitting += 1
    if fitting == 0:
        raise UserError(f"{path}: none of its weights fit this network")
    return fitting, len(parameters)


def parameters_for(net: PoseNet, path: Path | str) -> tuple[dict[str, Tensor], str | None]:
    """The parameters of a weights file by name, those of a supernet sliced to what `net` has of them.

    A supernet's file that holds the largest networks of `net` gives each of them the channels, kernels,
    blocks and neck that it would run with there, and of body and neck nothing else.

    Returns:
        The parameters, and where none were sliced, why: the file's space does not hold this network.

    Raises:
        UserError: as `load_weights` does.
    """
    return _parameters(net, path, *read_weights(path))


def _parameters(
    net: PoseNet, path: Path | str, metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], str | None]:
    if "space" not in metadata:
        return {name: tensor for name, tensor in tensors.items() if not name.endswith(_STATISTICS)}, None
    source = network_of(path, metadata, tensors)
    shapes = {name: own.shape for name, own in net.named_parameters()}
    parameters: dict[str, Tensor] = dict(source.named_parameters())
    sliced: dict[str, Tensor] = {}
    for arch in _largest(net):
        donor, reason = _donor(source.space, arch)
        if donor is None:
            return parameters, reason
        # The donor's input may be another one, and heads as large as their input.
        active = active_parameters(source, donor).items()
        sliced |= {name: tensor for name, tensor in active if tensor.shape == shapes.get(name)}
    rest = {name: own for name, own in parameters.items() if name in shapes or name.startswith(_HEADS)}
    return rest | sliced, None


def _largest(net: PoseNet) -> Iterator[Arch]:
    """The network itself, or a supernet's largest one under each head, on each neck and up-sampler."""
    if net.arch is not None:
        yield net.arch
        return
    manager = ArchManager(net.space)
    for head in net.space.heads:
        for neck in map(str, net.space.layout.neck_of[head].choices):
            arch = manager.largest(head=head, neck=neck)
            upsamplers = net.space.spec.necks[neck].upsamplers or (arch.neck.upsampler,)
            yield from (replace(arch, neck=replace(arch.neck, upsampler=each)) for each in upsamplers)


def _donor(space: SearchSpace, arch: Arch) -> tuple[Arch | None, str | None]:
    """A network of the space with the body of `arch`, with its neck, head and input too where the space has
    them; or why there is none."""
    manager, reason = ArchManager(space), None
    heads = sorted(space.heads, key=lambda head: head != arch.head.type)
    others = [replace(manager.largest(head=head), stem=arch.stem, stages=arch.stages) for head in heads]
    likes = [replace(other, neck=arch.neck) for other in others]
    for candidate in (arch, replace(likes[0], head=arch.head), *likes, *others):
        reason = space.why_not(candidate)
        if reason is None:
            return candidate, None
    return None, f"its space {space.name!r} does not hold the backbone of {arch.id}: {reason}"
