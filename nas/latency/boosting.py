"""The boosted residual: what a roofline leaves unexplained of a kernel's time.

Trees are fitted by scikit-learn and evaluated here with numpy alone, all trees of all kernels at once, so
that a saved predictor needs nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Floats, Ints
from nas.documents import Fields
from nas.errors import UserError
from nas.latency.kernels import Kernel

_TREES = 150
_DEPTH = 4
_RATE = 0.08
_SUBSAMPLE = 0.7
_LEAST_MS = 1e-4
# Features in steps of 1/256 are exact in scikit-learn's single precision, and short in a file.
_STEPS = 256


def can_boost() -> bool:
    """Whether scikit-learn is there to fit trees."""
    return find_spec("sklearn") is not None


@dataclass(frozen=True, eq=False)
class BoostedResidual:
    """Regression trees over a kernel's numbers; their sum is log(time / roofline).

    Args:
        kinds: known kinds, in the order that numbers them.
        feature, left, right: of every node [T, N]; a leaf's children are itself.
        threshold: go left up to this [T, N].
        value: of the leaves [T, N].
    """

    kinds: tuple[str, ...]
    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats

    @classmethod
    def fit(
        cls, kernels: Sequence[Kernel], ms: Floats, roofline_ms: Floats, *, counts: Floats, seed: int
    ) -> Self:
        """Fit to the times [N] of kernels over those of a roofline; long and frequent kernels count for more.

        Raises ImportError where scikit-learn is not installed.
        """
        from sklearn.ensemble import GradientBoostingRegressor

        kinds = tuple(sorted({kernel.kind for kernel in kernels}))
        ratio = np.log(np.maximum(ms, _LEAST_MS) / np.maximum(roofline_ms, _LEAST_MS))
        model = GradientBoostingRegressor(
            n_estimators=_TREES,
            max_depth=_DEPTH,
            learning_rate=_RATE,
            subsample=_SUBSAMPLE,
            init="zero",
            random_state=seed,
        )
        model.fit(
            _features(kernels, kinds, roofline_ms), ratio, sample_weight=counts * np.maximum(ms, _LEAST_MS)
        )
        return cls._of_trees(kinds, [tree[0].tree_ for tree in model.estimators_])

    @classmethod
    def _of_trees(cls, kinds: tuple[str, ...], trees: Sequence[Any]) -> Self:
        size = max(tree.node_count for tree in trees)
        own = np.tile(np.arange(size), (len(trees), 1))
        feature, left, right = np.zeros_like(own), own.copy(), own.copy()
        threshold, value = np.zeros(own.shape), np.zeros(own.shape)
        for row, tree in enumerate(trees):
            inner = np.flatnonzero(tree.children_left >= 0)
            feature[row, inner] = tree.feature[inner]
            threshold[row, inner] = tree.threshold[inner]
            left[row, inner], right[row, inner] = tree.children_left[inner], tree.children_right[inner]
            value[row, : tree.node_count] = _RATE * tree.value[:, 0, 0]
        return cls(kinds, feature, threshold, left, right, np.round(value, 6))

    def factors(self, kernels: Sequence[Kernel], roofline_ms: Floats) -> Floats:
        """What the roofline's times [N] are to be multiplied by; 1 for kinds that were not fitted to."""
        numbers = _features(kernels, self.kinds, roofline_ms)
        trees = np.arange(len(self.feature))
        rows = np.arange(len(kernels))[:, None]
        node = np.zeros((len(kernels), len(trees)), np.int64)
        for _ in range(_DEPTH):
            low = numbers[rows, self.feature[trees, node]] <= self.threshold[trees, node]
            node = np.where(low, self.left[trees, node], self.right[trees, node])
        factors = np.exp(self.value[trees, node].sum(axis=1))
        return np.where([kernel.kind in self.kinds for kernel in kernels], factors, 1.0)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {name: getattr(self, name).tolist() for name in _ARRAYS} | {"kinds": list(self.kinds)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises UserError for what are no trees."""
        fields = Fields(values, "model.residual")
        arrays: dict[str, Any] = {name: _array(fields, name, kind) for name, kind in _ARRAYS.items()}
        shape = arrays["feature"].shape
        # Every node's question is one of the features, and its children are nodes.
        ends = {"feature": len(Kernel._fields) + 1, "left": shape[-1], "right": shape[-1]}
        for name, array in arrays.items():
            if len(shape) != 2 or array.shape != shape or 0 in shape:
                raise UserError(
                    f"{fields.place}.{name}: expected [trees, nodes] as the others, got {array.shape}"
                )
            if name in ends and not ((array >= 0) & (array < ends[name])).all():
                raise UserError(f"{fields.place}.{name}: expected integers from 0 to {ends[name] - 1}")
        return cls(kinds=fields.texts("kinds"), **arrays)


_ARRAYS: Mapping[str, type] = {
    "feature": np.int64, "threshold": np.float64, "left": np.int64, "right": np.int64, "value": np.float64
}  # fmt: skip


def _array(fields: Fields, name: str, kind: type) -> NDArray[Any]:
    try:
        array = np.array(fields.get(name))
    except (ValueError, OverflowError):
        raise UserError(f"{fields.place}.{name}: expected numbers in rows of one length") from None
    if array.dtype.kind not in ("i" if kind is np.int64 else "if") or not np.isfinite(array).all():
        raise UserError(
            f"{fields.place}.{name}: expected rows of {'integers' if kind is np.int64 else 'numbers'}"
        )
    return array.astype(kind)


def _features(kernels: Sequence[Kernel], kinds: Sequence[str], roofline_ms: Floats) -> Floats:
    """[N, F]; logarithms of what spans magnitudes."""
    index = {kind: number for number, kind in enumerate(kinds)}
    sizes = np.array([kernel[1:9] for kernel in kernels], float)
    small = np.array([(index.get(kernel.kind, -1), *kernel[9:]) for kernel in kernels], float)
    work = np.log2(np.maximum(roofline_ms, _LEAST_MS))[:, None]
    numbers = np.concatenate([np.log2(1 + sizes), small, work], axis=1)
    return np.round(numbers * _STEPS) / _STEPS
