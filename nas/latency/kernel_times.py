"""Times of many networks: every kernel's time and novelty is worked out once, however often it comes."""

from collections.abc import Callable, Sequence

import numpy as np

from nas.arrays import Floats
from nas.latency.kernel_model import KernelModel
from nas.latency.kernels import Kernel
from nas.latency.uncertainty import Novelty
from nas.latency.validation import mean_novelty

_UNKNOWN = -1.0


class KernelTimes:
    """Remembers kernels, and predicts networks from them.

    Args:
        model: from kernels to ms.
        novelty: how unlike the measured ones they are.
    """

    def __init__(self, model: KernelModel, novelty: Novelty) -> None:
        self._model = model
        self._novelty = novelty
        self._known_ms: dict[Kernel, float] = {}
        self._known_novelty: dict[Kernel, float] = {}

    def network_ms(self, networks: Sequence[Sequence[Kernel]]) -> Floats:
        """The times [N] of networks."""
        times = _looked_up(self._known_ms, networks, self._model.kernel_ms)
        return self._model.of_sum(np.array([sum(values) for values in times], float))

    def network_novelty(self, networks: Sequence[Sequence[Kernel]]) -> Floats:
        """The novelty [N] of networks."""
        times = _looked_up(self._known_ms, networks, self._model.kernel_ms)
        novelty = _looked_up(self._known_novelty, networks, self._novelty)
        return np.array(
            [mean_novelty(np.array(of), np.array(ms)) for of, ms in zip(novelty, times, strict=True)]
        )


def _looked_up(
    known: dict[Kernel, float],
    networks: Sequence[Sequence[Kernel]],
    of: Callable[[Sequence[Kernel]], Floats],
) -> list[list[float]]:
    """A figure of every kernel of every network; those that are not known yet are added."""
    # Hashing kernels is what takes time here, so every one is looked up once.
    figures = [[known.get(kernel, _UNKNOWN) for kernel in kernels] for kernels in networks]
    incomplete = [row for row, values in enumerate(figures) if _UNKNOWN in values]
    new = list(dict.fromkeys(k for row in incomplete for k in networks[row] if k not in known))
    known.update(zip(new, of(new).tolist(), strict=True))
    for row in incomplete:
        figures[row] = [known[kernel] for kernel in networks[row]]
    return figures
