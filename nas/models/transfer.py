"""From a supernet to the plain network of one architecture."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nas.errors import UserError
from nas.layers import Context, Statistics
from nas.models.net import PoseNet
from nas.space.arch import Arch


def transfer(net: PoseNet, arch: Arch, stats: Statistics) -> PoseNet:
    """The plain network of `arch` with the supernet's weights and these statistics, in eval mode.

    Its outputs equal `net(images, arch, stats)` bit for bit (eval mode, same batch, threads and dtype, no
    autocast): every layer reports the parameters that it is active with, kernel transforms and resampled
    linear layers resolved.

    Raises:
        UserError: the architecture is not in the supernet's space.
        ValueError: statistics of another architecture.
    """
    if reason := net.space.why_not(arch):
        raise UserError(f"architecture {arch.id} is not in space {net.space.name!r}: {reason}")
    reference = next(net.parameters())
    plain = PoseNet(arch, net.skeleton, padding=net.padding).to(
        device=reference.device, dtype=reference.dtype
    )
    plain.load_state_dict(active_parameters(net, arch))
    plain.embed(stats)
    return plain.to(memory_format=_layout(net)).eval()  # type: ignore[call-overload, no-any-return]


def _layout(net: PoseNet) -> torch.memory_format:
    """The memory format of a network's weights, as its first dense convolution has it."""
    dense = next(p for p in net.parameters() if p.dim() == 4 and min(p.shape) > 1)
    is_last = dense.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format


@torch.no_grad()
def active_parameters(net: PoseNet, arch: Arch) -> dict[str, Tensor]:
    """The parameters that `arch` uses, by name, sliced and resolved."""
    parameters: dict[str, Tensor] = {}

    def capture(key: str, active: Mapping[str, Tensor | None]) -> None:
        for name, tensor in active.items():
            if tensor is not None:
                parameters[f"{key}.{name}"] = tensor.detach().clone()

    reference = next(net.parameters())
    # Two: where a level has a single cell, batch norm has no statistics of one image.
    images = torch.zeros(2, 3, *arch.resolution, device=reference.device, dtype=reference.dtype)
    net.in_context(images, arch, Context(capture=capture))
    return parameters
