"""Kernels on one device by what they take on another: few timed networks say by how much their kinds differ.

Devices differ by the kind of a kernel (a depthwise convolution gains less from wider vectors than a pointwise
one) and, within a kind, by its size. So the logarithm of the ratio is a line over the logarithm of the other
device's time, one for all kernels, with deviations for families and kinds that are drawn towards nought: a
kind of which little was timed follows its family, and that all others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nas.arrays import Floats
from nas.documents import Fields
from nas.latency.boosting import BoostedResidual
from nas.latency.kernels import Kernel
from nas.latency.roofline import ANY, family

_LEAST_MS = 1e-4
# Deviations count as one average kernel that has none; the level of all kernels is free.
_RIDGE, _FREE = 1.0, 1e-6


@dataclass(frozen=True, eq=False)
class Correction:
    """Factors on the times of another device.

    Args:
        lines: level and slope of the factor's logarithm, of all kernels ("*"), of families and of kinds; they
            are added up.
        middle: the logarithm of ms where the levels are.
        residual: factors on what the lines say; None where they are all.
    """

    lines: Mapping[str, tuple[float, float]]
    middle: float = 0.0
    residual: BoostedResidual | None = None

    @classmethod
    def fit(
        cls,
        kernels: Sequence[Kernel],
        ms: Floats,
        other_ms: Floats,
        *,
        counts: Floats,
        boosted: bool,
        seed: int,
    ) -> Self:
        """Fit to the times [N] of kernels here and on the other device; frequent and long ones weigh more.

        Args:
            boosted: fit the residual too; needs scikit-learn.
            seed: of the trees.
        """
        size = np.log(np.maximum(other_ms, _LEAST_MS))
        ratio = np.log(np.maximum(ms, _LEAST_MS)) - size
        weights = counts * np.sqrt(np.maximum(ms, _LEAST_MS))
        weights /= weights.mean()
        middle = float(np.average(size, weights=weights))
        names = sorted({name for kernel in kernels for name in _names(kernel)})
        levels = np.array([[name in _names(kernel) for name in names] for kernel in kernels], float)
        matrix = np.concatenate([levels, levels * (size - middle)[:, None]], axis=1)
        ridge = np.array([_FREE if name == ANY else _RIDGE for name in names] + [_RIDGE] * len(names))
        gram = (matrix * weights[:, None]).T @ matrix + np.diag(ridge)
        found = np.linalg.solve(gram, (matrix * weights[:, None]).T @ ratio).reshape(2, -1).T.tolist()
        lines = cls({name: (level, slope) for name, (level, slope) in zip(names, found, strict=True)}, middle)
        if not boosted:
            return lines
        ms_by_lines = other_ms * lines.factors(kernels, other_ms)
        residual = BoostedResidual.fit(kernels, ms, ms_by_lines, counts=counts, seed=seed)
        return cls(lines.lines, middle, residual)

    def knows(self, kernel: Kernel) -> bool:
        """Whether a kernel of this kind was timed here."""
        return kernel.kind in self.lines

    def factors(self, kernels: Sequence[Kernel], other_ms: Floats) -> Floats:
        """What the other device's times [N] are to be multiplied by."""
        own = np.array([self._line(kernel) for kernel in kernels], float).reshape(-1, 2)
        size = np.log(np.maximum(other_ms, _LEAST_MS)) - self.middle
        factors = np.exp(own[:, 0] + own[:, 1] * size)
        if self.residual is not None:
            factors = factors * self.residual.factors(kernels, other_ms * factors)
        return np.asarray(factors)

    def _line(self, kernel: Kernel) -> Floats:
        known = [self.lines[name] for name in _names(kernel) if name in self.lines]
        return np.asarray(np.sum(known, axis=0) if known else np.zeros(2))

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "lines": {name: list(line) for name, line in self.lines.items()},
            "middle": self.middle,
            "residual": None if self.residual is None else self.residual.to_json(),
        }

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """The inverse of `to_json`. Raises UserError `model.corrections.field: what is wrong`."""
        fields = Fields(values, "model.corrections")
        lines, residual = fields.fields("lines"), fields.get("residual")
        return cls(
            lines={name: _pair(lines, name) for name in lines.names},
            middle=fields.number("middle"),
            residual=None if residual is None else BoostedResidual.from_json(residual),
        )


def _names(kernel: Kernel) -> tuple[str, str, str]:
    return kernel.kind, family(kernel), ANY


def _pair(lines: Fields, name: str) -> tuple[float, float]:
    level, slope = lines.numbers(name, count=2)
    return level, slope
