"""Exponential moving average of a network's weights."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def warmed_decay(decay: float, updates: int) -> float:
    """The decay after `updates` updates: an average that is young forgets fast (TensorFlow's rule)."""
    return min(decay, (1 + updates) / (10 + updates))


def averaged(net: nn.Module, decay: float) -> AveragedModel:
    """An average of `net`'s weights, warmed up; `update_parameters(net)` once per step keeps it current."""
    model = AveragedModel(net, multi_avg_fn=_average(decay))
    model.eval()
    model.requires_grad_(False)
    return model


def _average(decay: float) -> Callable[[Any, Any, Any], None]:
    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], updates: Tensor | int) -> None:
        share = 1 - warmed_decay(decay, int(updates))
        torch._foreach_lerp_(averages, values, share)

    return update
