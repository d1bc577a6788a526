"""Integral regression for person crops (Sun et al. 2018): coordinates as expectations over a map."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.codecs.integral import localisation_stride, score_radius
from nas.heads.base import (
    HeadPlace,
    Outputs,
    PoseHead,
    SeparableOutput,
    cells_to_pixels,
    mirror_maps,
    one_pose,
    weighted_mean,
)
from nas.layers import Context, Level, LevelFeatures, MergingDeconv, widened
from nas.space.arch import Head as HeadArch

LOGIT_STD = 0.1
"""Of the last weights times beta at the start."""
LEAST_EVIDENCE = 1e-2
"""Sum of a map without its background, its highest cell at most 1, under which it fades out."""
LEAST_PROBABILITY = 1e-12
COORDINATE_WEIGHT = 10.0
"""Of errors as a share of the map's longer side: all crop heads' losses are of one order at the start."""


class IntegralHead(PoseHead):
    """One distribution per joint over a localisation map; outputs `probabilities` [B, K, h, w].

    The map is the neck's finest one, doubled by 0 to 2 transposed convolutions of `width` channels.
    With `debias`, the maps are rectified and the background, where they are 0, is taken out of the
    expectation: Gu et al. (2021) restore C / (C - 1) (x - 1 / 2C) from the mean x of softmax(beta h), x in
    shares of the map and C the mean of exp(beta h). That is the mean under weights exp(beta h) - 1, which are
    the probabilities here.
    """

    def __init__(self, place: HeadPlace) -> None:
        super().__init__(place)
        level = place.finest
        self.stride = level.stride
        width = max(int(choice) for choice in place.options["width"])
        depths = [int(choice) for choice in place.options["deconvolutions"]]
        finer = [
            Level(width, None, localisation_stride(level.stride, depth))
            for depth in range(1, max(depths) + 1)
        ]
        inputs = [level, *finer]
        self.upsample = nn.ModuleList(
            MergingDeconv(source.channels, source.raw_channels, width) for source in inputs[:-1]
        )
        std = LOGIT_STD / max(float(beta) for beta in place.options["beta"])
        self.outputs = nn.ModuleDict(
            {str(depth): SeparableOutput(inputs[depth], self.keypoints, std=std) for depth in depths}
        )

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, context: Context) -> Outputs:
        depth = int(head.option("deconvolutions"))
        refined, raw = levels[-1]
        for _, upsample in zip(range(depth), self.upsample, strict=False):
            refined, raw = upsample(refined, raw, int(head.option("width")), context), None
        maps = self.outputs[str(depth)]((refined, raw), context)
        return {"probabilities": self.normalise(widened(maps) * float(head.option("beta")), head)}

    def normalise(self, logits: Tensor, head: HeadArch) -> Tensor:
        """Distributions [B, K, h, w] from maps."""
        return above_background(logits) if head.option("debias") else flat_softmax(logits)

    def loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """L1 distance of the expectations to `coordinates` [B, K, 2] (cells), as a share of the longer side.

        Mean over the labelled joints (weights [B, K]), 10 times.
        """
        error = _relative_distance(outputs["probabilities"], targets["coordinates"])
        return {"coordinates": COORDINATE_WEIGHT * weighted_mean(error, targets["weights"])}

    def distill(self, student: Outputs, teacher: Outputs) -> Tensor:
        """L1 distance to the teacher's coordinates and Jensen-Shannon divergence to its distributions."""
        ours, theirs = student["probabilities"], teacher["probabilities"]
        distance = _relative_distance(ours, expectation(theirs)).mean()
        return COORDINATE_WEIGHT * distance + jensen_shannon(ours, theirs).mean()

    def merge_flip(self, outputs: Outputs, mirrored: Outputs, flip_index: Sequence[int]) -> Outputs:
        theirs = mirror_maps(mirrored["probabilities"], flip_index)
        return {"probabilities": (outputs["probabilities"] + theirs) / 2}

    def decode(self, outputs: Outputs, head: HeadArch) -> Outputs:
        """The pose, as `one_pose` gives it; raw scores say how near the probability lies."""
        maps = outputs["probabilities"]
        stride = localisation_stride(self.stride, int(head.option("deconvolutions")))
        radius = score_radius((maps.shape[2], maps.shape[3]))
        x, near_x = _mean_and_nearness(maps.sum(dim=2), radius)
        y, near_y = _mean_and_nearness(maps.sum(dim=3), radius)
        places = [cells_to_pixels(cells, stride).unsqueeze(2) for cells in (x, y)]
        resolution = maps.shape[2] * stride, maps.shape[3] * stride
        return one_pose(places, near_x * near_y, self.anchors(head, resolution))


def flat_softmax(logits: Tensor) -> Tensor:
    """Softmax over all cells of each map [B, K, h, w]."""
    return torch.softmax(logits.flatten(2), dim=2).reshape(logits.shape)


def above_background(logits: Tensor) -> Tensor:
    """What softmax of rectified maps [B, K, h, w] has above its background, where a map is 0; it sums to 1.

    A map that is 0 nearly everywhere, or wholly, sums to less: its expectation is the map's centre.
    """
    flat = F.relu(logits).flatten(2)
    highest = flat.amax(dim=2, keepdim=True)
    excess = torch.exp(flat - highest) - torch.exp(-highest)
    return (excess / excess.sum(dim=2, keepdim=True).clamp(min=LEAST_EVIDENCE)).reshape(logits.shape)


def expectation(probabilities: Tensor) -> Tensor:
    """The mean [B, K, 2] x, y (cells) of distributions [B, K, h, w]."""
    return torch.stack([_mean(probabilities.sum(dim=2)), _mean(probabilities.sum(dim=3))], dim=2)


def jensen_shannon(one: Tensor, other: Tensor) -> Tensor:
    """Jensen-Shannon divergence [B, K] (0 to log 2) of distributions [B, K, h, w]."""
    middle = ((one + other) / 2).clamp(min=LEAST_PROBABILITY).log()
    halves = (p * (p.clamp(min=LEAST_PROBABILITY).log() - middle) for p in (one, other))
    return sum(halves, start=torch.zeros_like(one)).sum(dim=(2, 3)) / 2


def _relative_distance(probabilities: Tensor, cells: Tensor) -> Tensor:
    """L1 distance [B, K] of expectations to cells [B, K, 2], as a share of the map's longer side."""
    error = (expectation(probabilities) - cells).abs().sum(dim=2)
    return error / max(probabilities.shape[2:])


def _positions(marginal: Tensor) -> Tensor:
    """Cells [n] from the middle, so that a distribution that sums to less than 1 has its mean there."""
    count = marginal.shape[2]
    return torch.arange(count, device=marginal.device, dtype=marginal.dtype) - (count - 1) / 2


def _mean(marginal: Tensor) -> Tensor:
    """The mean [B, K] (cells) of distributions [B, K, n] along one axis."""
    return (marginal * _positions(marginal)).sum(dim=2) + (marginal.shape[2] - 1) / 2


def _mean_and_nearness(marginal: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """The mean [B, K] (cells), and how near to it the probability lies [B, K], 0 to 1."""
    mean = _mean(marginal)
    distance = _positions(marginal) + (marginal.shape[2] - 1) / 2 - mean.unsqueeze(2)
    nearness = torch.exp(distance.square() * (-0.5 / radius**2))
    return mean, (marginal * nearness).sum(dim=2)
