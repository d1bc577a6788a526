"""Elastic normalisation."""

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.layers.compiled import (
    BOUNDS,
    batch_moments,
    learning_norm,
    norm_learns,
    norm_only_scales,
    scaling_norm,
)
from nas.layers.context import Context, Observer, StatisticsMissingError
from nas.layers.elastic import ElasticLayer, first
from nas.layers.functional import activate, widened


class ElasticBatchNorm2d(ElasticLayer, nn.BatchNorm2d):
    """Batch normalisation with elastic channels, whose statistics belong to an architecture.

    Training uses the statistics of the batch and keeps none. Scoring takes them from the context or, where it
    brings none, from the layer's own buffers in a network of one architecture that was calibrated.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)

    def forward(self, x: Tensor, context: Context) -> Tensor:  # type: ignore[override]
        """[B, C, H, W] -> the same shape."""
        found = self._by_loops(x, context, None)
        return self._by_torch(x, context) if found is None else found

    def activated(self, x: Tensor, context: Context, activation: str) -> Tensor:
        """The same with the named activation behind."""
        found = self._by_loops(x, context, activation) if activation in BOUNDS else None
        return activate(self(x, context), activation) if found is None else found

    def _active(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return first(self.weight, x.shape[1]), first(self.bias, x.shape[1])

    def _by_loops(self, x: Tensor, context: Context, activation: str | None) -> Tensor | None:
        """What compiled loops make of it; None where they are not asked for, or do not pay."""
        if not self.compiled or context.capture is not None:
            return None
        weight, bias = self._active(x)
        learns = self.training and context.observe is None
        if learns and norm_learns(x, weight):
            return learning_norm(x, weight, bias, activation=activation, eps=self.eps)
        if learns or not norm_only_scales(x, weight):
            return None
        if context.observe is None:
            moments = self._moments(context)
        else:
            moments = batch_moments(x)
            context.observe(self.key, *moments)
        return scaling_norm(x, weight, bias, moments, activation=activation, eps=self.eps)

    def _by_torch(self, x: Tensor, context: Context) -> Tensor:
        weight, bias = self._active(x)
        if context.capture is not None:
            context.capture(self.key, {"weight": weight, "bias": bias})
        if context.observe is not None:
            return self._observed(x, weight, bias, context.observe)
        if self.training or context.uses_batch_statistics:
            return F.batch_norm(x, None, None, weight, bias, True, 0.0, self.eps)
        return F.batch_norm(x, *self._moments(context), weight, bias, False, 0.0, self.eps)

    def _observed(self, x: Tensor, weight: Tensor, bias: Tensor, observe: Observer) -> Tensor:
        # The kernel computes the statistics anyway: a moving average that forgets at once holds them.
        mean, variance = torch.zeros_like(weight), torch.zeros_like(weight)
        normalised = F.batch_norm(x, mean, variance, weight, bias, True, 1.0, self.eps)
        count = x.numel() // x.shape[1]
        observe(self.key, mean, variance * ((count - 1) / count))
        return normalised

    def embed(self, mean: Tensor, variance: Tensor) -> None:
        """Keep these statistics [C] in the layer."""
        self.running_mean, self.running_var = mean, variance

    def forget(self) -> None:
        """Keep no statistics any more."""
        self.running_mean = self.running_var = None

    def _moments(self, context: Context) -> tuple[Tensor, Tensor]:
        """Mean and biased variance [C] that are scored by."""
        found = context.statistics(self.key)
        if found is not None:
            return found
        if self.running_mean is None or self.running_var is None:
            raise StatisticsMissingError(
                f"no batch-norm statistics for {self.key}: calibrate this architecture before scoring it"
            )
        return self.running_mean, self.running_var


class ScaleNorm(ElasticLayer, nn.Module):
    """Every token brought to one learned length (Nguyen & Salazar 2019): root mean square `weight`.

    The active number of entries counts, so that a token of a smaller grid or of fewer channels is as large
    entry by entry. A token of zeros stays one.
    """

    eps = 1e-5

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """[B, K, ...], all axes but the first two make up the token -> the same shape, at least fp32."""
        if context.capture is not None:
            context.capture(self.key, {"weight": self.weight})
        x = widened(x)
        root = sqrt(x.shape[2:].numel())
        length: Tensor = torch.linalg.vector_norm(x, dim=tuple(range(2, x.dim())), keepdim=True)
        # The factor is one number a token: exported, the token itself is multiplied once.
        return x * (self.weight * root / length.clamp(min=self.eps * root))
