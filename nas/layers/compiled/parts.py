"""Tensors as the loops read them, and how they are shared out."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]

PARTS = 8
"""A batch is summed in so many parts, whatever the number of threads: rounding does not depend on them.

Part p of a batch of B images are those from B * p // PARTS on."""

_LEAST = 1 << 18
"""Work that is done before a second thread has begun."""


def available() -> bool:
    """Whether there is a compiler."""
    return find_spec("numba") is not None


def channels_last(tensor: Tensor) -> Array:
    """[B, C, H, W] -> [B, H, W, C], contiguous; a view where it lies so already."""
    array: Array = tensor.detach().permute(0, 2, 3, 1).contiguous().numpy()
    return array


def threads_for(work: int) -> int:
    """On how many of torch's threads to run a loop that reads about so many values."""
    return min(torch.get_num_threads(), PARTS) if work >= _LEAST else 1
