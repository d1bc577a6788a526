"""What layers compute by on CPUs where numba is installed: loops of our own for what torch is slow at.

They read tensors as they lie in memory, channels last. Each sums over a fixed number of parts of the batch:
how many threads there are does not change a bit. numba takes half a second to import, so that `depthwise`
and `norms` are imported where they first run.
"""

from nas.layers.compiled.batch_norm import (
    BOUNDS,
    batch_moments,
    learning_norm,
    norm_learns,
    norm_only_scales,
    scaling_norm,
)
from nas.layers.compiled.convolution import LEAST_KERNEL, convolution_learns, learning_convolution
from nas.layers.compiled.parts import available

__all__ = [
    "BOUNDS",
    "LEAST_KERNEL",
    "available",
    "batch_moments",
    "convolution_learns",
    "learning_convolution",
    "learning_norm",
    "norm_learns",
    "norm_only_scales",
    "scaling_norm",
]
