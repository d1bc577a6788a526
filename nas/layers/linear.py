"""Linear layers over grids, resampled where the grid is elastic."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.layers.context import Context
from nas.layers.elastic import ElasticLayer, first


def interpolation_matrix(size: int, source: int) -> Tensor:
    """[size, source] fp32: linear interpolation of `source` samples at the centres of `size` cells."""
    positions = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    lower = np.floor(positions).astype(int)
    upper = np.minimum(lower + 1, source - 1)
    fraction = positions - lower
    matrix = np.zeros((size, source))
    rows = np.arange(size)
    np.add.at(matrix, (rows, lower), 1 - fraction)
    np.add.at(matrix, (rows, upper), fraction)
    return torch.from_numpy(matrix.astype(np.float32))


@dataclass(frozen=True)
class Axis:
    """One axis of a linear layer's weight.

    Args:
        sizes: to choose from, ascending.
        sampled: whether its entries are samples of something continuous (cells, bins), of which another
            number is interpolated; or else channels, of which the first ones are used.
    """

    sizes: tuple[int, ...]
    sampled: bool

    @classmethod
    def samples(cls, sizes: Iterable[int]) -> Self:
        """Cells or bins of a fixed extent."""
        return cls(tuple(sorted(set(sizes))), sampled=True)

    @classmethod
    def channels(cls, sizes: Iterable[int]) -> Self:
        return cls(tuple(sorted(set(sizes))), sampled=False)

    @property
    def largest(self) -> int:
        return self.sizes[-1]


class ResampledLinear(ElasticLayer, nn.Module):
    """A linear layer whose input or output is an elastic grid, stored for the largest one.

    As FlexiViT (Beyer et al. 2023) does for patch embeddings: fixed linear interpolation along each sampled
    axis, those of the input scaled by largest / active size so that sums over the grid keep their size.

    Args:
        inputs: the axes of the input, such as height and width.
        outputs: the axis of the output.
        bias: whether there is one.
    """

    def __init__(self, inputs: Sequence[Axis], outputs: Axis, *, bias: bool = True) -> None:
        super().__init__()
        self.axes = (outputs, *inputs)
        self.weight = nn.Parameter(torch.empty([axis.largest for axis in self.axes]))
        self.bias = nn.Parameter(torch.zeros(outputs.largest)) if bias else None
        nn.init.normal_(self.weight, std=0.01)
        for position, axis in enumerate(self.axes):
            for size in axis.sizes[:-1] if axis.sampled else ():
                matrix = interpolation_matrix(size, axis.largest)
                self.register_buffer(f"matrix_{position}_{size}", matrix, persistent=False)

    def forward(self, x: Tensor, outputs: int, context: Context) -> Tensor:
        """[B, K, *inputs] -> [B, K, outputs]."""
        weight, bias = self.active_parameters(outputs, *x.shape[2:])
        if context.capture is not None:
            context.capture(self.key, {"weight": weight, "bias": bias})
        return F.linear(x.flatten(2), weight.flatten(1), bias)

    def active_parameters(self, *sizes: int) -> tuple[Tensor, Tensor | None]:
        """Weight [outputs, *inputs] and bias [outputs] for these sizes, in fp32."""
        weight: Tensor = self.weight
        with torch.autocast(weight.device.type, enabled=False):
            for position in reversed(range(len(sizes))):
                scale = self.axes[position].largest / sizes[position] if position else 1.0
                weight = self._active(weight, position, sizes[position], dim=position, scale=scale)
            bias = None if self.bias is None else self._active(self.bias, 0, sizes[0], dim=0)
        return weight.contiguous(), bias

    def _active(self, tensor: Tensor, position: int, size: int, *, dim: int, scale: float = 1.0) -> Tensor:
        """A tensor with one dimension, which is the axis at `position` in the weight, brought to a size."""
        axis = self.axes[position]
        if size == axis.largest:
            return tensor
        if not axis.sampled:
            return first(tensor, size, dim=dim)
        matrix: Tensor = getattr(self, f"matrix_{position}_{size}")
        resampled: Tensor = torch.tensordot(tensor, matrix * scale, dims=([dim], [1]))
        return resampled.movedim(-1, dim)
