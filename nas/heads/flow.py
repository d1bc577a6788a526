"""A normalising flow over the plane: RealNVP (Dinh et al., ICLR 2017)."""

import math

import torch
from torch import Tensor, nn

from nas.layers import Context, ElasticLayer

LAYERS = 6
WIDTH = 64


class RealNVP(ElasticLayer, nn.Module):
    """A learned density of points in the plane, for training only: no forward pass of a network runs it.

    Each of the layers shifts and scales one coordinate by what a small network makes of the other one, x and
    y by turns. At first it is the standard normal distribution.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_coupling() for _ in range(LAYERS))

    def forward(self, points: Tensor) -> Tensor:
        """The log-density [...] at points [..., 2]."""
        kept, moved = points[..., :1], points[..., 1:]
        log_scales = torch.zeros_like(kept)
        for layer in self.layers:
            log_scale, shift = layer(kept).chunk(2, dim=-1)
            log_scale = torch.tanh(log_scale)  # bounded, so that no density runs away
            log_scales = log_scales + log_scale
            kept, moved = (moved - shift) * torch.exp(-log_scale), kept
        normal = -0.5 * (kept.square() + moved.square()) - math.log(2 * math.pi)
        return (normal - log_scales).squeeze(-1)

    def keep(self, context: Context) -> None:
        """Report the parameters, so that a transferred network has them and can be trained on."""
        if context.capture is not None:
            context.capture(self.key, dict(self.named_parameters()))


def _coupling() -> nn.Sequential:
    last = nn.Linear(WIDTH, 2)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(1, WIDTH), nn.LeakyReLU(), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(), last)
