"""The roofline model of kernels: per kind, what computing, moving and starting cost; fitted by NNLS."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import nnls

from nas.arrays import Floats
from nas.documents import Fields
from nas.latency.kernels import Kernel

TERMS = ("MMAC", "MB", "MB beyond cache", "MB of columns", "kernels")
_CACHE_BYTES = 750_000
_MEGA = 1e-6
_OTHER, ANY = "other.*", "*"
# Between absolute errors (0), which only see large kernels, and relative ones (1).
_RELATIVE = 0.7
# What a weight of twice the usual size costs, in relative errors of one kernel.
_PULL = 0.01


def terms(kernel: Kernel) -> tuple[float, ...]:
    """What a kernel's time is linear in, in the order of `TERMS`.

    Transposed convolutions first compute columns: for every input cell the filter's reach in the output.
    """
    moved = kernel.read + kernel.written + kernel.weights
    columns = 4 * kernel.macs / kernel.inputs if kernel.kind.startswith("conv_transpose") else 0
    return (
        kernel.macs * _MEGA,
        moved * _MEGA,
        max(0, moved - _CACHE_BYTES) * _MEGA,
        columns * _MEGA,
        1.0,
    )


@dataclass(frozen=True, eq=False)
class Roofline:
    """Milliseconds of kernels as sums of non-negative costs.

    Args:
        weights: kind -> ms per unit of every term. A family ("conv.*" of "conv.depthwise7", "other.*" of what
            does not multiply) stands in for kinds that no measured network had.
    """

    weights: Mapping[str, tuple[float, ...]]

    @classmethod
    def of_kernels(cls, kernels: Sequence[Kernel], ms: Floats, counts: Floats) -> Self:
        """Fit to the times [N] of single kernels, kind by kind; `counts` [N] says how often each occurred."""
        rows: defaultdict[str, list[int]] = defaultdict(list)
        for row, kernel in enumerate(kernels):
            rows[kernel.kind].append(row)
            rows[family(kernel)].append(row)
            rows[ANY].append(row)
        every = {kind: np.array([terms(kernels[row]) for row in own]) for kind, own in rows.items()}
        everything = _fit(every[ANY], ms, counts=counts)
        weights = {ANY: tuple(everything.tolist())}
        # A family comes before its kinds: they are expected to cost what it does.
        for kind, own in sorted(rows.items(), key=lambda item: (not item[0].endswith(ANY), item[0])):
            if kind != ANY:
                usual = weights.get(family(kernels[own[0]]), weights[ANY])
                prior = (np.array(usual), np.maximum(usual, everything))
                weights[kind] = tuple(_fit(every[kind], ms[own], counts=counts[own], prior=prior).tolist())
        return cls(weights)

    @classmethod
    def of_networks(cls, networks: Sequence[Sequence[Kernel]], ms: Floats) -> Self:
        """Fit to the times [N] of whole networks, where those of their kernels are not known."""
        kinds = sorted({kernel.kind for network in networks for kernel in network})
        matrix = np.zeros((len(networks), len(kinds), len(TERMS)))
        index = {kind: column for column, kind in enumerate(kinds)}
        for row, network in enumerate(networks):
            for kernel in network:
                matrix[row, index[kernel.kind]] += terms(kernel)
        found = _fit(matrix.reshape(len(networks), -1), ms, counts=np.ones(len(ms)), relative=1.0)
        weights = dict(zip(kinds, map(tuple, found.reshape(len(kinds), -1).tolist()), strict=True))
        pooled = [kernel for network in networks for kernel in network]
        families = cls.of_kernels(pooled, cls(weights).ms(pooled), np.ones(len(pooled)))
        return cls({**families.weights, **weights})

    def knows(self, kernel: Kernel) -> bool:
        """Whether a measured network had a kernel of this kind."""
        return kernel.kind in self.weights

    def ms(self, kernels: Iterable[Kernel]) -> Floats:
        """The times [N] of kernels."""
        return np.array([self._of(kernel) for kernel in kernels], float)

    def _of(self, kernel: Kernel) -> float:
        names = (kernel.kind, family(kernel), ANY)
        weights = next(self.weights[name] for name in names if name in self.weights)
        return sum(weight * term for weight, term in zip(weights, terms(kernel), strict=True))

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {kind: list(weights) for kind, weights in self.weights.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises UserError for what are no costs of kinds, `*` among them."""
        fields = Fields(values, "model.roofline")
        return cls({kind: fields.numbers(kind, least=0, count=len(TERMS)) for kind in (*fields.names, ANY)})


def family(kernel: Kernel) -> str:
    """What stands in for a kernel's kind where that is not known."""
    return f"{kernel.kind.partition('.')[0]}.*" if kernel.macs else _OTHER


def _fit(
    matrix: Floats,
    ms: Floats,
    *,
    counts: Floats,
    relative: float = _RELATIVE,
    prior: tuple[Floats, Floats] | None = None,
) -> Floats:
    """Non-negative weights [F] of matrix [N, F] for times [N]; columns are brought to one scale first.

    `prior` is what weights [F] are drawn to, and the size of each [F]: only what kernels leave open comes
    from it, such as which share of a time that is always the same goes to starting and which to moving.
    """
    weight = np.sqrt(counts) / np.maximum(ms, 1e-4) ** relative
    rows, wanted = matrix * weight[:, None], ms * weight
    if prior is not None:
        usual, size = prior
        pull = _PULL / np.where(size > 0, size, np.inf)
        rows, wanted = np.concatenate([rows, np.diag(pull)]), np.concatenate([wanted, pull * usual])
    scale = np.abs(rows).max(axis=0)
    scale[scale == 0] = 1.0
    found, _ = nnls(rows / scale, wanted, maxiter=100 * matrix.shape[1])
    return np.asarray(found / scale)
