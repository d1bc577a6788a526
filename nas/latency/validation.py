"""What a predictor is worth: its errors on networks that were held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nas.latency.fitting import Floats, HeldOut, predict_held_out
from nas.latency.timing import Timing, noise_floor

_QUANTILES = np.linspace(0, 1, 41)


@dataclass(frozen=True)
class Validation:
    """What a fit is worth on networks that it did not see.

    Args:
        networks: how many were measured.
        loaded: how many of them while others used the processor.
        held_out: errors of the predictor, by K-fold.
        macs_baseline: errors of a line over MACs, on the same folds.
        noise_floor: mean disagreement of the label between two halves of its visits; None with one visit.
        residuals: quantiles (0, 1/40 ... 1) of predicted / measured - 1.
    """

    networks: int
    loaded: int
    held_out: HeldOut
    macs_baseline: HeldOut
    noise_floor: float | None
    residuals: tuple[float, ...]

    def residual(self, quantile: float) -> float:
        """The error predicted / measured - 1 that this share of held-out networks stays below."""
        return float(np.interp(quantile, _QUANTILES, self.residuals))

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            **vars(self),
            "held_out": self.held_out.to_json(),
            "macs_baseline": self.macs_baseline.to_json(),
            "residuals": list(self.residuals),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        parsed = {
            "held_out": HeldOut.from_json(values["held_out"]),
            "macs_baseline": HeldOut.from_json(values["macs_baseline"]),
            "residuals": tuple(values["residuals"]),
        }
        return cls(**{**values, **parsed})


def validate(matrix: Floats, timings: Sequence[Timing], *, seed: int) -> Validation:
    """Fit and predict fold by fold; `matrix` [N, F] holds the features of the timed networks."""
    measured = np.array([timing.measured_ms for timing in timings])
    macs = np.array([timing.description["macs"] for timing in timings], float)
    predicted, by_macs = predict_held_out(matrix, macs, measured, rng=np.random.default_rng(seed))
    residuals = np.quantile(predicted / measured - 1, _QUANTILES)
    return Validation(
        networks=len(timings),
        loaded=sum(timing.loaded for timing in timings),
        held_out=HeldOut.of(predicted, measured),
        macs_baseline=HeldOut.of(by_macs, measured),
        noise_floor=noise_floor(timings),
        residuals=tuple(np.round(residuals, 5).tolist()),
    )
