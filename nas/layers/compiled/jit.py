"""Compiling a loop for one signature."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def jit(function: Callable[..., None], *arguments: Any) -> Callable[..., None]:
    """The function compiled for arguments of these types; what is compiled is kept on disk where that can be.

    Products may be fused with sums; what is not finite stays so, since training looks for it.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}}
    signature = numba.types.void(*arguments)
    try:
        compiled: Callable[..., None] = numba.njit(signature, cache=True, **options)(function)
    except RuntimeError:  # nowhere to write what was compiled
        compiled = numba.njit(signature, **options)(function)
    return compiled


def flat(dtype: str) -> Any:
    """numba's type of a flat array, contiguous."""
    return numba.from_dtype(np.dtype(dtype))[::1]
