"""From kernels to milliseconds of networks: roofline, boosted residual, sum, one scale.

The same kernel takes some percent longer in a larger network, whose weights and maps leave less of the caches
to it. Hence the scale depends on the sum.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from nas.documents import Fields
from nas.latency.arrays import Floats
from nas.latency.attribution import TimedKernels
from nas.latency.boosting import BoostedResidual
from nas.latency.kernels import Kernel
from nas.latency.roofline import Roofline

LEAST_MATCHED = 0.9
"""Where kernels were found for a smaller share of the profiled time, single kernels are not relied on."""

# So many networks would have to say that the scale does not depend on the size.
_RIDGE = 0.3


@dataclass(frozen=True)
class Scale:
    """What sums of kernels are multiplied by: the exponential of a parabola in the logarithm of the sum.

    Beyond the sums that it was fitted to, it is that of the nearest of them.

    Args:
        level, slope, bend: of the parabola, over the logarithm less `middle`, in units of `width`.
        least, most: logarithms of the sums that it was fitted to.
    """

    level: float = 0.0
    slope: float = 0.0
    bend: float = 0.0
    middle: float = 0.0
    width: float = 1.0
    least: float = -50.0
    most: float = 50.0

    @classmethod
    def of(cls, sums: Floats, labels: Floats) -> Self:
        """Of least squared relative error; slope and bend are drawn towards nought."""
        size, ratio = np.log(sums), np.log(labels / sums)
        middle, width = float(size.mean()), float(size.std()) or 1.0
        position = (size - middle) / width
        matrix = np.stack([np.ones_like(position), position, position**2 - 1], axis=1)
        ridge = np.diag([0.0, _RIDGE, _RIDGE])
        level, slope, bend = np.linalg.solve(matrix.T @ matrix + ridge, matrix.T @ ratio).tolist()
        return cls(level, slope, bend, middle, width, float(size.min()), float(size.max()))

    def __call__(self, sums: Floats) -> Floats:
        """The sums [N], scaled."""
        position = (np.clip(np.log(sums), self.least, self.most) - self.middle) / self.width
        parabola = self.level + self.slope * position + self.bend * (position**2 - 1)
        return np.asarray(sums * np.exp(parabola))


@dataclass(frozen=True, eq=False)
class KernelModel:
    """Predicts networks as the sum of their kernels, scaled by its size.

    Args:
        roofline: of every kernel.
        residual: factors on the roofline; None for the roofline alone.
        scale: of sums.
    """

    roofline: Roofline
    residual: BoostedResidual | None
    scale: Scale

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
        if min(network.matched for network in networks) < LEAST_MATCHED:
            own = [network.kernels for network in networks]
            return cls(Roofline.of_networks(own, labels), None, Scale())
        kernels, ms, counts = _pool(networks)
        roofline = Roofline.of_kernels(kernels, ms, counts)
        residual = None
        if boosted:
            residual = BoostedResidual.fit(kernels, ms, roofline.ms(kernels), counts=counts, seed=seed)
        unscaled = cls(roofline, residual, Scale())
        sums = unscaled.network_ms([network.kernels for network in networks])
        return replace(unscaled, scale=Scale.of(sums, labels))

    def kernel_ms(self, kernels: Sequence[Kernel]) -> Floats:
        """The times [N] of kernels by themselves, which `of_sum` turns into those of networks."""
        if not kernels:
            return np.zeros(0)
        ms = self.roofline.ms(kernels)
        return ms if self.residual is None else ms * self.residual.factors(kernels, ms)

    def of_sum(self, sums: Floats) -> Floats:
        """The times [N] of networks whose kernels add up to this [N]."""
        return self.scale(sums)

    def network_ms(self, networks: Iterable[Sequence[Kernel]]) -> Floats:
        """The times [N] of networks."""
        return self.of_sum(np.array([self.kernel_ms(kernels).sum() for kernels in networks]))

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "roofline": self.roofline.to_json(),
            "residual": None if self.residual is None else self.residual.to_json(),
            "scale": vars(self.scale),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises UserError `model.field: what is wrong`."""
        fields = Fields(values, "model")
        residual, scale = fields.get("residual"), fields.fields("scale")
        scale.known(vars(Scale()))
        return cls(
            roofline=Roofline.from_json(fields.mapping("roofline")),
            residual=None if residual is None else BoostedResidual.from_json(residual),
            scale=Scale(**{name: scale.number(name) for name in vars(Scale())}),
        )


def _pool(networks: Sequence[TimedKernels]) -> tuple[list[Kernel], Floats, Floats]:
    """The distinct kernels of all networks, the mean time of each, and how often it occurs."""
    times: defaultdict[Kernel, list[float]] = defaultdict(list)
    for network in networks:
        for kernel, ms in zip(network.kernels, network.ms, strict=True):
            times[kernel].append(ms)
    means = np.array([np.mean(values) for values in times.values()])
    return list(times), means, np.array([len(values) for values in times.values()], float)
