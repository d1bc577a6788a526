"""From kernels to milliseconds of networks: roofline, boosted residual, sum, one scale.

A model may begin with another device's: then a correction brings its kernels to this one.

The same kernel takes some percent longer in a larger network, whose weights and maps leave less of the caches
to it. Hence the scale depends on the sum.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from nas.arrays import Floats
from nas.documents import Fields
from nas.errors import UserError
from nas.latency.attribution import TimedKernels
from nas.latency.boosting import BoostedResidual
from nas.latency.correction import Correction
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
        corrections: what brought it from device to device, the last one to the one it is of.
    """

    roofline: Roofline
    residual: BoostedResidual | None
    scale: Scale
    corrections: tuple[Correction, ...] = ()

    @classmethod
    def fit(
        cls,
        networks: Sequence[TimedKernels],
        *,
        other: "KernelModel | None" = None,
        boosted: bool = True,
        seed: int = 0,
    ) -> "KernelModel":
        """Fit to timed networks.

        Where the mirror found the kernels of too little of the profiled time (another onnxruntime, other
        layouts), the roofline is fitted to whole networks and not boosted; another device's model is scaled.

        Args:
            other: of another device, to be corrected; None to begin with nothing.
            boosted: fit the residual too; needs scikit-learn.
            seed: of the trees.
        """
        if other is not None:
            return other._corrected(networks, boosted=boosted, seed=seed)
        labels = np.array([network.label_ms for network in networks])
        if min(network.matched for network in networks) < LEAST_MATCHED:
            own = [network.kernels for network in networks]
            return cls(Roofline.of_networks(own, labels), None, Scale())
        kernels, ms, counts = _pool(networks)
        roofline = Roofline.of_kernels(kernels, ms, counts)
        residual = None
        if boosted:
            residual = BoostedResidual.fit(kernels, ms, roofline.ms(kernels), counts=counts, seed=seed)
        return cls(roofline, residual, Scale())._scaled(networks)

    @property
    def other(self) -> "KernelModel | None":
        """The model of another device that this one corrects; None where it began with nothing."""
        return replace(self, corrections=self.corrections[:-1]) if self.corrections else None

    @property
    def is_boosted(self) -> bool:
        """Whether what was fitted last has trees."""
        return (self.corrections[-1].residual if self.corrections else self.residual) is not None

    def knows(self, kernel: Kernel) -> bool:
        """Whether a network that was measured, be it on another device, had a kernel of this kind."""
        return self.roofline.knows(kernel) or any(correction.knows(kernel) for correction in self.corrections)

    def kernel_ms(self, kernels: Sequence[Kernel]) -> Floats:
        """The times [N] of kernels by themselves, which `of_sum` turns into those of networks."""
        if not kernels:
            return np.zeros(0)
        ms = self.roofline.ms(kernels)
        if self.residual is not None:
            ms = ms * self.residual.factors(kernels, ms)
        for correction in self.corrections:
            ms = ms * correction.factors(kernels, ms)
        return ms

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
            **({"corrections": [part.to_json() for part in self.corrections]} if self.corrections else {}),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises UserError `model.field: what is wrong`."""
        fields = Fields(values, "model")
        residual, scale = fields.get("residual"), fields.fields("scale")
        scale.known(vars(Scale()))
        corrections = values.get("corrections", [])
        if not isinstance(corrections, list):
            raise UserError(f"{fields.place}.corrections: expected a list")
        return cls(
            roofline=Roofline.from_json(fields.mapping("roofline")),
            residual=None if residual is None else BoostedResidual.from_json(residual),
            scale=Scale(**{name: scale.number(name) for name in vars(Scale())}),
            corrections=tuple(map(Correction.from_json, corrections)),
        )

    def _corrected(self, networks: Sequence[TimedKernels], *, boosted: bool, seed: int) -> "KernelModel":
        """Of the device that networks were timed on, where this one is another's."""
        correction = Correction({})
        if min(network.matched for network in networks) >= LEAST_MATCHED:
            kernels, ms, counts = _pool(networks)
            correction = Correction.fit(
                kernels, ms, self.kernel_ms(kernels), counts=counts, boosted=boosted, seed=seed
            )
        return replace(self, corrections=(*self.corrections, correction))._scaled(networks)

    def _scaled(self, networks: Sequence[TimedKernels]) -> "KernelModel":
        """With a scale of its sums of kernels to labels."""
        sums = np.array([self.kernel_ms(network.kernels).sum() for network in networks])
        return replace(self, scale=Scale.of(sums, np.array([network.label_ms for network in networks])))


def _pool(networks: Sequence[TimedKernels]) -> tuple[list[Kernel], Floats, Floats]:
    """The distinct kernels of all networks, the mean time of each, and how often it occurs."""
    times: defaultdict[Kernel, list[float]] = defaultdict(list)
    for network in networks:
        for kernel, ms in zip(network.kernels, network.ms, strict=True):
            times[kernel].append(ms)
    means = np.array([np.mean(values) for values in times.values()])
    return list(times), means, np.array([len(values) for values in times.values()], float)
