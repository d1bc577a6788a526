"""What a predictor is worth: its errors on networks that were held out, beside baselines and the noise."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.stats import spearmanr

from nas.arrays import Floats
from nas.documents import Fields
from nas.latency.attribution import TimedKernels
from nas.latency.baselines import Baseline
from nas.latency.kernel_model import KernelModel
from nas.latency.uncertainty import Novelty, Uncertainty, load_allowance
from nas.timing.timing import Timing, noise_floor

FOLDS = 5


@dataclass(frozen=True)
class HeldOutErrors:
    """Errors on networks that were held out of the fit; relative to the measured time.

    Args:
        mape: mean absolute error.
        maximum: largest absolute error.
        within_5, within_10: share of predictions within 5 % and 10 %.
        spearman: rank correlation of predicted and measured.
    """

    mape: float
    maximum: float
    within_5: float
    within_10: float
    spearman: float

    @classmethod
    def of(cls, predicted: Floats, measured: Floats) -> Self:
        """The errors of predictions [N] of measured times [N]."""
        errors = np.abs(predicted / measured - 1)
        return cls(
            mape=float(errors.mean()),
            maximum=float(errors.max()),
            within_5=float((errors <= 0.05).mean()),
            within_10=float((errors <= 0.10).mean()),
            # Where all are equal there is no ranking to speak of.
            spearman=float(np.nan_to_num(spearmanr(predicted, measured).statistic)),
        )

    def to_json(self) -> dict[str, float]:
        """Plain values for a JSON file."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, values: Any, place: str = "held_out") -> Self:
        """The inverse of `to_json`. Raises UserError `place.field: what is wrong`."""
        fields = Fields(values, place)
        names = tuple(field.name for field in dataclasses.fields(cls))
        fields.known(names)
        return cls(**{name: fields.number(name) for name in names})


@dataclass(frozen=True)
class Validation:
    """What a fit is worth on networks that it did not see.

    Args:
        networks: how many were measured.
        loaded: how many of them while others used the processor.
        matched: least share of a network's profiled time that the kernels of the mirror account for.
        held_out: errors of the predictor, by K-fold.
        baselines: errors of other ways to predict, on the same folds.
        noise_floor: the error of the labels themselves; None with one visit each.
        predicted, measured: held-out predictions and labels in ms, network by network.
    """

    networks: int
    loaded: int
    matched: float
    held_out: HeldOutErrors
    baselines: Mapping[str, HeldOutErrors]
    noise_floor: float | None
    predicted: tuple[float, ...]
    measured: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            **vars(self),
            "held_out": self.held_out.to_json(),
            "baselines": {name: errors.to_json() for name, errors in self.baselines.items()},
            "predicted": list(self.predicted),
            "measured": list(self.measured),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises UserError `validation.field: what is wrong`."""
        fields = Fields(values, "validation")
        fields.known(field.name for field in dataclasses.fields(cls))
        baselines = fields.fields("baselines")
        measured = fields.numbers("measured", least=0)
        return cls(
            networks=fields.integer("networks"),
            loaded=fields.integer("loaded"),
            matched=fields.number("matched"),
            held_out=HeldOutErrors.from_json(fields.get("held_out"), "validation.held_out"),
            baselines={
                name: HeldOutErrors.from_json(baselines.get(name), f"{baselines.place}.{name}")
                for name in baselines.names
            },
            noise_floor=None if fields.get("noise_floor") is None else fields.number("noise_floor"),
            predicted=fields.numbers("predicted", least=0, count=len(measured)),
            measured=measured,
        )


@dataclass(frozen=True)
class CrossValidation:
    """Held-out predictions [N] in ms, and how novel each network was to its fit [N]."""

    predicted: Floats
    novelty: Floats

    def uncertainty(self, measured: Floats, timings: Sequence[Timing]) -> Uncertainty:
        """The uncertainty of a fit on all networks [N], from the errors of those on parts of them."""
        errors = self.predicted / measured - 1
        return Uncertainty.of(errors, self.novelty, loaded=load_allowance(timings))


@dataclass(frozen=True, eq=False)
class Fit:
    """What is fitted to timed networks.

    Args:
        model: from kernels to ms.
        novelty: of kernels, to those that were measured.
    """

    model: KernelModel
    novelty: Novelty

    @classmethod
    def of(
        cls, networks: Sequence[TimedKernels], *, other: "Fit | None" = None, boosted: bool, seed: int
    ) -> "Fit":
        """Of networks alone, or of another device's fit that they correct."""
        model = KernelModel.fit(networks, other=other.model if other else None, boosted=boosted, seed=seed)
        novelty = Novelty.of([kernel for network in networks for kernel in network.kernels])
        return cls(model, novelty if other is None else novelty.joined(other.novelty))


def cross_validate(
    networks: Sequence[TimedKernels], *, other: Fit | None = None, boosted: bool, seed: int
) -> CrossValidation:
    """Predict every network by a fit on the other folds."""
    predicted, novelty = np.empty((2, len(networks)))
    for seen, held_out in folds(len(networks), seed=seed):
        fit = Fit.of([networks[index] for index in seen], other=other, boosted=boosted, seed=seed)
        for index in held_out:
            kernels = networks[index].kernels
            ms = fit.model.kernel_ms(kernels)
            predicted[index] = fit.model.of_sum(ms.sum())
            novelty[index] = mean_novelty(fit.novelty(kernels), ms)
    return CrossValidation(predicted, novelty)


def cross_validate_baseline(
    networks: Sequence[TimedKernels], fit: Callable[..., Baseline], *, seed: int
) -> Floats:
    """As `cross_validate`, of another way to predict, on the same folds."""
    predicted = np.empty(len(networks))
    for seen, held_out in folds(len(networks), seed=seed):
        predicted[held_out] = fit([networks[i] for i in seen], seed=seed)([networks[i] for i in held_out])
    return predicted


def folds(count: int, *, seed: int) -> list[tuple[list[int], list[int]]]:
    """Indices to fit on and to hold out, fold by fold."""
    order = np.random.default_rng(seed).permutation(count)
    parts = [sorted(part.tolist()) for part in np.array_split(order, min(FOLDS, count))]
    return [([i for i in range(count) if i not in part], part) for part in parts]


def mean_novelty(novelty: Floats, ms: Floats) -> float:
    """The novelty of a network: of its kernels [N], weighted by their times [N]."""
    return float(np.average(novelty, weights=np.maximum(ms, 1e-9)))


def validation_of(
    networks: Sequence[TimedKernels],
    timings: Sequence[Timing],
    found: CrossValidation,
    *,
    baselines: Mapping[str, Callable[..., Baseline]],
    seed: int,
) -> Validation:
    """What cross-validation found, beside baselines on the same folds."""
    measured = np.array([network.label_ms for network in networks])
    return Validation(
        networks=len(networks),
        loaded=sum(timing.loaded for timing in timings),
        matched=min(network.matched for network in networks),
        held_out=HeldOutErrors.of(found.predicted, measured),
        baselines={
            name: HeldOutErrors.of(cross_validate_baseline(networks, fit, seed=seed), measured)
            for name, fit in baselines.items()
        },
        noise_floor=noise_floor(timings),
        predicted=tuple(np.round(found.predicted, 5).tolist()),
        measured=tuple(np.round(measured, 5).tolist()),
    )
