"""Residual Log-likelihood Estimation head for person crops (Li et al., ICCV 2021)."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from nas.codecs.rle import MIN_SIGMA, RLECodec
from nas.heads.base import HeadPlace, Outputs
from nas.heads.flow import RealNVP
from nas.heads.regression import PooledLinear, RegressionHead, map_channels
from nas.layers import Context, ConvNorm, ElasticConv2d, Level, LevelFeatures, activate, widened
from nas.space.arch import Head as HeadArch

GUIDE_WIDTH = 16


class RLEHead(RegressionHead):
    """Regression with a deviation sigma per coordinate, which the likelihood of the residuals teaches.

    Outputs, besides those of `RegressionHead`, `sigma_logits` [B, K, 2]: `sigmas` makes of them shares of the
    input's sides. A score branch also sees them, since certainty shows in a distribution's width
    (distribution-guided quality, Generalized Focal Loss V2, Li et al., CVPR 2021).

    The flow that learns the residuals' density belongs to the loss: it is transferred, and part of no trace.
    """

    unscored: ClassVar[str] = RLECodec.unscored
    likelihoods: ClassVar[frozenset[str]] = frozenset({"xy"})

    def __init__(self, place: HeadPlace) -> None:
        super().__init__(place)
        self.sigma = PooledLinear(place.levels, 2 * self.keypoints)
        self.flow = RealNVP()
        if self.may_score:
            self.guide = _Guide()
        if "separate" in place.options["maps"]:
            self.maps = nn.ModuleDict({name: _OwnMaps(place.levels) for name in ("xy", "sigma")})

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, context: Context) -> Outputs:
        self.flow.keep(context)
        if head.option("maps") == "separate":
            place, width = (self.pooled(self.maps[name](levels, context), head) for name in ("xy", "sigma"))
        else:
            place = width = self.pooled(levels, head)
        outputs = self.located(place, levels, context)
        logits = self.sigma(width, context).unflatten(1, (self.keypoints, 2))
        outputs["sigma_logits"] = logits
        if self.has_score_branch(head):
            outputs["score_logits"] = self.score(width, context) + self.guide(logits.detach(), context)
        return outputs

    def location_loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> Tensor:
        """Negative log-likelihood [B, K] of the residuals, summed over the axes; it may well be negative.

        Along an axis gamma log sigma - log phi(e) + log 2 sigma + |e|, where e = (xy - target) / sigma and
        phi is the flow's density of both axes' e. `gamma` [B] is among the targets.
        """
        sigma = sigmas(outputs)
        error = (widened(outputs["xy"]) - targets["xy"]) / sigma
        log_phi: Tensor = self.flow(error).unsqueeze(2)
        gamma = targets["gamma"][:, None, None]
        likelihood: Tensor = gamma * sigma.log() - log_phi + (2 * sigma).log() + error.abs()
        return likelihood.sum(dim=2)

    def location_distance(self, student: Outputs, teacher: Outputs) -> Tensor:
        """Kullback-Leibler divergence [B, K] of Laplace distributions, from the teacher's, over both axes."""
        ours, known = sigmas(student), sigmas(teacher)
        distance = (widened(student["xy"]) - widened(teacher["xy"])).abs()
        ratio = known / ours
        divergence = distance / ours + ratio * torch.exp(-distance / known) - ratio.log() - 1
        return divergence.sum(dim=2)

    def scores_without_branch(self, outputs: Outputs) -> Tensor:
        """1 - mean sigma [B, K]."""
        return 1 - sigmas(outputs).mean(dim=2)


def sigmas(outputs: Outputs) -> Tensor:
    """Deviations [B, K, 2] as shares of the input's (w, h), between the least one and 1."""
    return MIN_SIGMA + (1 - MIN_SIGMA) * torch.sigmoid(widened(outputs["sigma_logits"]))


class _OwnMaps(nn.Module):
    """Every map sent through a 1x1 convolution, batch norm and ReLU of its own, as wide as it is."""

    def __init__(self, levels: Sequence[Level]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(ConvNorm(width, width, 1) for width in map_channels(levels))
        for part in self.parts:
            assert isinstance(part, ConvNorm)
            nn.init.kaiming_normal_(part.conv.weight, mode="fan_out")

    def forward(self, levels: tuple[LevelFeatures, ...], context: Context) -> tuple[LevelFeatures, ...]:
        """The same maps as `levels` has, each [B, C, h, w]."""
        parts = iter(self.parts)

        def own(maps: Tensor) -> Tensor:
            out: Tensor = next(parts)(maps, maps.shape[1], "relu", context)
            return out

        return tuple((own(refined), None if raw is None else own(raw)) for refined, raw in levels)


class _Guide(nn.Module):
    """What the width of a joint's distribution says of its score: two layers that all joints share."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = ElasticConv2d(2, GUIDE_WIDTH, 1)
        self.out = ElasticConv2d(GUIDE_WIDTH, 1, 1)

    def forward(self, logits: Tensor, context: Context) -> Tensor:
        """Sigma logits [B, K, 2] -> [B, K], to be added to the score's logits."""
        with torch.autocast(logits.device.type, enabled=False):
            x = self.hidden(logits.transpose(1, 2).unsqueeze(3), GUIDE_WIDTH, context)
            out: Tensor = self.out(activate(x, "relu"), 1, context)
        return out.flatten(1)
