"""Activations by name."""

from collections.abc import Callable

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
