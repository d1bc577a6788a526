"""Images as a network takes them."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from nas.codecs.normalise import MEAN, STD

_SCALE = 1 / (255 * STD.astype(np.float64))
_OFFSET = -MEAN.astype(np.float64) / STD.astype(np.float64)


@cache
def _constants(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Scale and offset [3, 1, 1]; made anew for every batch they would stall a GPU."""
    scale = torch.as_tensor(_SCALE, dtype=dtype, device=device).view(3, 1, 1)
    offset = torch.as_tensor(_OFFSET, dtype=dtype, device=device).view(3, 1, 1)
    return scale, offset


def to_input(
    images: Tensor, device: torch.device | str = "cpu", *, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Normalise on the device, so that a quarter of the bytes travels.

    The memory layout stays as it came (channels_last), in which convolutions are up to twice as fast.

    Args:
        images: [B, H, W, 3] uint8 RGB.

    Returns:
        [B, 3, H, W].
    """
    images = images.to(device, non_blocking=True).permute(0, 3, 1, 2)
    scale, offset = _constants(torch.device(device), dtype)
    return images.to(dtype).mul_(scale).add_(offset)
