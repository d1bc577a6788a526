"""Linear layers over grids, resampled where the grid is elastic."""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.layers.elastic import ElasticLayer
from nas.layers.run import Run


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


class ResampledLinear(ElasticLayer, nn.Module):
    """A linear layer from a grid [h, w] to bins, stored for the largest grid and resampled to the active one.

    As FlexiViT (Beyer et al. 2023) does for patch embeddings: fixed linear interpolation along each axis,
    the input sides scaled by largest / active size so that sums over the grid keep their size.

    Args:
        grids: every input grid (h, w) to choose from.
        bins: every number of outputs to choose from.
    """

    def __init__(self, grids: Iterable[tuple[int, int]], bins: Iterable[int]) -> None:
        super().__init__()
        heights, widths = (sorted(set(sides)) for sides in zip(*grids, strict=True))
        outputs = sorted(set(bins))
        self.largest = (outputs[-1], heights[-1], widths[-1])
        self.weight = nn.Parameter(torch.empty(self.largest))
        self.bias = nn.Parameter(torch.zeros(outputs[-1]))
        nn.init.normal_(self.weight, std=0.01)
        for axis, sizes in (("bins", outputs), ("height", heights), ("width", widths)):
            for size in sizes[:-1]:
                self.register_buffer(
                    f"{axis}_{size}", interpolation_matrix(size, sizes[-1]), persistent=False
                )

    def forward(self, x: Tensor, bins: int, run: Run) -> Tensor:
        """[B, K, h, w] -> [B, K, bins]."""
        height, width = x.shape[2], x.shape[3]
        weight, bias = self.active_parameters(bins, height, width)
        if run.capture is not None:
            run.capture(self.key, {"weight": weight, "bias": bias})
        return F.linear(x.flatten(2), weight.flatten(1), bias)

    def active_parameters(self, bins: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Weight [bins, height, width] and bias [bins] for one grid, in fp32."""
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        with torch.autocast(weight.device.type, enabled=False):
            if width != self.largest[2]:
                scale = self.largest[2] / width
                weight = torch.matmul(weight, self._matrix("width", width).t() * scale)
            if height != self.largest[1]:
                scale = self.largest[1] / height
                weight = torch.matmul(self._matrix("height", height) * scale, weight)
            if bins != self.largest[0]:
                matrix = self._matrix("bins", bins)
                weight = torch.matmul(matrix, weight.flatten(1)).reshape(bins, height, width)
                bias = torch.matmul(matrix, bias)
        return weight, bias

    def _matrix(self, axis: str, size: int) -> Tensor:
        matrix: Tensor = getattr(self, f"{axis}_{size}")
        return matrix
