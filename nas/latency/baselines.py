"""What other projects predict latency with, fitted to the same networks: the figures to be better than."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nas.arrays import Floats
from nas.latency.attribution import TimedKernels
from nas.latency.kernels import Kernel

Baseline = Callable[[Sequence[TimedKernels]], Floats]
"""Predicts networks [N] from their kernels, scopes and MACs; their times are not looked at."""

TREES = 50
"""Of a forest."""

_LEAST_MS = 1e-4
_BLOCK_DEPTH = 5


def macs_line(networks: Sequence[TimedKernels], *, seed: int = 0) -> Baseline:
    """A line over MACs: what LitePose's search constrains."""
    line = _fit_line(_macs(networks), _labels(networks))
    return lambda others: line(_macs(others))


def block_table(networks: Sequence[TimedKernels], *, seed: int = 0) -> Baseline:
    """A table of blocks, added up (OFA, ProxylessNAS); an unknown block is scaled from the nearest."""
    table: defaultdict[tuple[Kernel, ...], list[float]] = defaultdict(list)
    for network in networks:
        for kernels, ms in _blocks(network):
            table[kernels].append(ms)
    known = list(table)
    means = np.array([np.mean(table[kernels]) for kernels in known])
    sizes = np.array([_block_size(kernels) for kernels in known])
    index = {kernels: number for number, kernels in enumerate(known)}

    def block_ms(kernels: tuple[Kernel, ...]) -> float:
        if kernels in index:
            return float(means[index[kernels]])
        size = _block_size(kernels)
        nearest = int(np.abs(sizes - size).sum(axis=1).argmin())
        return float(means[nearest] * 2.0 ** (size[0] - sizes[nearest][0]))

    def sums(others: Sequence[TimedKernels]) -> Floats:
        return np.array([sum(block_ms(kernels) for kernels, _ in _blocks(other)) for other in others])

    line = _fit_line(sums(networks), _labels(networks))
    return lambda others: line(sums(others))


def operator_forest(networks: Sequence[TimedKernels], *, seed: int = 0) -> Baseline:
    """A random forest per kind of kernel, added up, as nn-Meter does. Needs scikit-learn."""
    from sklearn.ensemble import RandomForestRegressor

    by_kind: defaultdict[str, list[tuple[Kernel, float]]] = defaultdict(list)
    for network in networks:
        for kernel, ms in zip(network.kernels, network.ms, strict=True):
            by_kind[kernel.kind].append((kernel, ms))
    forests: Mapping[str, RandomForestRegressor] = {
        kind: RandomForestRegressor(TREES, random_state=seed).fit(
            np.array([kernel[1:] for kernel, _ in timed], float), np.array([ms for _, ms in timed])
        )
        for kind, timed in by_kind.items()
    }

    def sums(others: Sequence[TimedKernels]) -> Floats:
        total = np.zeros(len(others))
        for kind, forest in forests.items():
            rows = [(row, kernel) for row, other in enumerate(others) for kernel in other.kernels
                    if kernel.kind == kind]  # fmt: skip
            if rows:
                ms = forest.predict(np.array([kernel[1:] for _, kernel in rows], float))
                np.add.at(total, [row for row, _ in rows], ms)
        return total

    line = _fit_line(sums(networks), _labels(networks))
    return lambda others: line(sums(others))


BASELINES: Mapping[str, Callable[..., Baseline]] = {
    "MACs, linear": macs_line,
    "block table, added up": block_table,
    "operator forest": operator_forest,
}


def _fit_line(amounts: Floats, measured: Floats) -> Callable[[Floats], Floats]:
    """Intercept and slope of time over an amount, of least squared relative error."""
    columns = np.stack([np.ones_like(amounts), amounts], axis=1) / measured[:, None]
    (constant, slope), *_ = np.linalg.lstsq(columns, np.ones(len(measured)), rcond=None)
    return lambda others: np.maximum(constant + slope * others, _LEAST_MS)


def _labels(networks: Sequence[TimedKernels]) -> Floats:
    return np.array([network.label_ms for network in networks])


def _macs(networks: Sequence[TimedKernels]) -> Floats:
    return np.array([network.macs for network in networks], float)


def _blocks(network: TimedKernels) -> list[tuple[tuple[Kernel, ...], float]]:
    """The kernels of each block and their time; a block is a module at a certain depth of the network."""
    kernels: defaultdict[str, list[Kernel]] = defaultdict(list)
    ms: defaultdict[str, float] = defaultdict(float)
    for kernel, scope, value in zip(network.kernels, network.scopes, network.ms, strict=True):
        block = ".".join(re.split(r"\.", scope)[:_BLOCK_DEPTH])
        kernels[block].append(kernel)
        ms[block] += value
    return [(tuple(kernels[block]), ms[block]) for block in kernels]


def _block_size(kernels: Sequence[Kernel]) -> Floats:
    """By what blocks are compared: logarithms of MACs and bytes, number of kernels, largest filter."""
    work = sum(kernel.macs + kernel.written / 4 for kernel in kernels)
    moved = sum(kernel.read + kernel.written for kernel in kernels)
    largest = max(kernel.size for kernel in kernels)
    return np.array([np.log2(1 + work), np.log2(1 + moved), len(kernels), largest], float)
