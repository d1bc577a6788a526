"""Arrays, as the latency part's signatures name them."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
