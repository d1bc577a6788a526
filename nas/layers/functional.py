"""Activations by name."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "silu": F.silu,
    "hardswish": F.hardswish,
}


def activate(x: Tensor, name: str) -> Tensor:
    """The named activation, in place (x must be the fresh output of a layer)."""
    return ACTIVATIONS[name](x, inplace=True)


def widened(x: Tensor) -> Tensor:
    """A tensor of half precision in fp32, as sums and losses need it; any other as it is."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
