"""From kernels to milliseconds of networks: roofline, boosted residual, sum, one scale.

The same kernel takes some percent longer in a larger network, whose weights and maps leave less of the caches
to it. Hence the scale is a power law of the sum, with an exponent a little above one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nas.latency.attribution import TimedKernels
from nas.latency.boosting import BoostedResidual
from nas.latency.kernels import Kernel
from nas.latency.roofline import Roofline

Floats = NDArray[np.float64]

# Below this share of profiled time that kernels were found for, times of single kernels are not relied on.
_LEAST_MATCHED = 0.9
# As many networks as far from the mean size as this would have to say that there is no power law.
_RIDGE = 0.1


@dataclass(frozen=True, eq=False)
class KernelModel:
    """Predicts networks as scale * (sum of their kernels in ms) ** exponent.

    Args:
        roofline: of every kernel.
        residual: factors on the roofline; None for the roofline alone.
        scale, exponent: of whole networks.
    """

    roofline: Roofline
    residual: BoostedResidual | None
    scale: float
    exponent: float

    @classmethod
    def fit(cls, networks: Sequence[TimedKernels], *, boosted: bool = True, seed: int = 0) -> Self:
        """Fit to timed networks.

        Where the mirror found the kernels of too little of the profiled time (another onnxruntime, other
        layouts), the roofline is fitted to whole networks and not boosted.

        Args:
            boosted: fit the residual too; needs scikit-learn.
            seed: of the trees.
        """
        labels = np.array([network.label_ms for network in networks])
        if min(network.matched for network in networks) < _LEAST_MATCHED:
            own = [network.kernels for network in networks]
            return cls(Roofline.of_networks(own, labels), None, 1.0, 1.0)
        kernels, ms, counts = _pool(networks)
        roofline = Roofline.of_kernels(kernels, ms, counts)
        residual = None
        if boosted:
            residual = BoostedResidual.fit(kernels, ms, roofline.ms(kernels), counts=counts, seed=seed)
        unscaled = cls(roofline, residual, 1.0, 1.0)
        scale, exponent = _power_law(unscaled.network_ms([network.kernels for network in networks]), labels)
        return replace(unscaled, scale=scale, exponent=exponent)

    def kernel_ms(self, kernels: Sequence[Kernel]) -> Floats:
        """The times [N] of kernels by themselves, which `of_sum` turns into those of networks."""
        if not kernels:
            return np.zeros(0)
        ms = self.roofline.ms(kernels)
        return ms if self.residual is None else ms * self.residual.factors(kernels, ms)

    def of_sum(self, sums: Floats) -> Floats:
        """The times [N] of networks whose kernels add up to this [N]."""
        return np.asarray(self.scale * sums**self.exponent)

    def network_ms(self, networks: Iterable[Sequence[Kernel]]) -> Floats:
        """The times [N] of networks."""
        return self.of_sum(np.array([self.kernel_ms(kernels).sum() for kernels in networks]))

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "roofline": self.roofline.to_json(),
            "residual": None if self.residual is None else self.residual.to_json(),
            "scale": self.scale,
            "exponent": self.exponent,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        residual = values["residual"]
        return cls(
            roofline=Roofline.from_json(values["roofline"]),
            residual=None if residual is None else BoostedResidual.from_json(residual),
            scale=values["scale"],
            exponent=values["exponent"],
        )


def _pool(networks: Sequence[TimedKernels]) -> tuple[list[Kernel], Floats, Floats]:
    """The distinct kernels of all networks, the mean time of each, and how often it occurs."""
    times: defaultdict[Kernel, list[float]] = defaultdict(list)
    for network in networks:
        for kernel, ms in zip(network.kernels, network.ms, strict=True):
            times[kernel].append(ms)
    means = np.array([np.mean(values) for values in times.values()])
    return list(times), means, np.array([len(values) for values in times.values()], float)


def _power_law(sums: Floats, labels: Floats) -> tuple[float, float]:
    """Scale and exponent of least squared relative error; the exponent is drawn towards one."""
    size, ratio = np.log(sums), np.log(labels / sums)
    centred = size - size.mean()
    slope = float(centred @ ratio / (centred @ centred + _RIDGE))
    return float(np.exp(ratio.mean() - slope * size.mean())), 1.0 + slope
