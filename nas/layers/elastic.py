"""What all elastic layers share: a name in the network, and slices that cost nothing when they are whole."""

import torch
from torch import Tensor, nn

Segments = tuple[tuple[int, int], ...]
"""The channels that a sliced input holds, as (start, length) within the full width, in order."""


class ElasticLayer:
    """A layer whose active parameters are a pure function of what it is called with."""

    key: str = ""
    """Full name of the layer in its network; set once by the network."""

    compiled: bool = False
    """Whether it computes by the loops of `nas.layers.compiled`, where they know it."""


def use_loops(net: nn.Module, compiled: bool) -> None:
    """Let the layers of a network compute by `nas.layers.compiled` where they know it, or by torch alone."""
    for layer in net.modules():
        if isinstance(layer, ElasticLayer):
            layer.compiled = compiled


def first(tensor: Tensor, count: int, dim: int = 0) -> Tensor:
    """The first `count` entries along `dim`; the tensor itself where that is all of it."""
    if tensor.shape[dim] == count:
        return tensor
    return tensor.narrow(dim, 0, count)


def joined(tensor: Tensor, segments: Segments, dim: int = 0) -> Tensor:
    """The entries of the segments along `dim`, in order; the tensor itself where they are all of it."""
    end = 0
    for start, length in segments:
        if start != end:
            break
        end += length
    else:
        return first(tensor, end, dim)
    return torch.cat([tensor.narrow(dim, start, length) for start, length in segments], dim=dim)
