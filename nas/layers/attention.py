"""Attention between few tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.layers.context import Context
from nas.layers.elastic import ElasticLayer, first
from nas.layers.norm import ScaleNorm

STD = 0.01
"""Of the projections at the start, as RTMPose has it: what attention adds is then as large as the token."""

_EXPANSION = 2
"""Channels of gate and value for each channel of the token."""


class GatedAttention(ElasticLayer, nn.Module):
    """Gated attention unit over tokens of elastic size (Hua et al., ICML 2022; as in RTMPose, 2023).

    One projection gives gate, value and base of every token; queries and keys are the base, scaled and
    shifted. Attention is relu(query . key / sqrt(shared)) squared, not normalised, and its result is gated:
    x * residual + project(gate * (attention @ value)).

    Args:
        channels: the largest size of a token.
        shared: channels of queries and keys.
    """

    def __init__(self, channels: int, *, shared: int = 128) -> None:
        super().__init__()
        self.shared = shared
        hidden = channels * _EXPANSION
        self.norm = ScaleNorm()
        self.gate = _projection(hidden, channels)
        self.value = _projection(hidden, channels)
        self.base = _projection(shared, channels)
        self.query_scale = nn.Parameter(torch.rand(shared))
        self.query_shift = nn.Parameter(torch.rand(shared))
        self.key_scale = nn.Parameter(torch.rand(shared))
        self.key_shift = nn.Parameter(torch.rand(shared))
        self.project = _projection(channels, hidden)
        self.residual = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """[B, K, C] -> [B, K, C]: K tokens that hold the first C channels."""
        channels = x.shape[2]
        hidden = channels * _EXPANSION
        gate, value = (first(first(part, hidden), channels, dim=1) for part in (self.gate, self.value))
        base = first(self.base, channels, dim=1)
        project = first(first(self.project, channels), hidden, dim=1)
        residual = first(self.residual, channels)
        if context.capture is not None:
            active = {"gate": gate, "value": value, "base": base, "project": project, "residual": residual}
            own = ("query_scale", "query_shift", "key_scale", "key_shift")
            context.capture(self.key, active | {name: getattr(self, name) for name in own})

        expanded = F.silu(F.linear(self.norm(x, context), torch.cat([gate, value, base])))
        gated, values, shared = torch.split(expanded, [hidden, hidden, self.shared], dim=2)
        # The square root goes into the parameters: exported, it costs nothing.
        root = self.shared**-0.5
        query = shared * (self.query_scale * root) + self.query_shift * root
        key = shared * self.key_scale + self.key_shift
        attention = F.relu(query @ key.transpose(1, 2)).square()
        return x * residual + F.linear(gated * (attention @ values), project.contiguous())


def _projection(outputs: int, inputs: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(outputs, inputs) * STD)
