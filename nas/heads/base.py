"""What every head is: layers, losses, distillation, exportable decode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from nas.codecs.build import head_codec
from nas.codecs.confidence import Anchors, confidence, pose_confidence
from nas.layers import (
    Context,
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticDepthwiseConv2d,
    Level,
    LevelFeatures,
    widened,
)
from nas.space.arch import Head as HeadArch
from nas.space.skeleton import Skeleton
from nas.space.specs import OptionValue

Outputs = dict[str, Tensor]
HEATMAP_STD = 1e-3


@dataclass(frozen=True)
class HeadPlace:
    """What a head is told when it is built.

    Args:
        levels: the scales that the neck hands over, coarsest first.
        skeleton: the joints to find.
        resolutions: every input size (h, w) to choose from.
        options: for every option of the head its choices.
    """

    levels: Sequence[Level]
    skeleton: Skeleton
    resolutions: Sequence[tuple[int, int]]
    options: Mapping[str, Sequence[OptionValue]]

    @property
    def finest(self) -> Level:
        """The last level."""
        return self.levels[-1]


class PoseHead(nn.Module):
    """Base of all heads.

    A head's outputs are named tensors. Sub-classes say how they come from the features (`forward`), what
    they cost against targets (`loss`) and against a teacher (`distill`), how those of a mirrored image are
    joined to them (`merge_flip`), and what poses they mean (`decode`).
    """

    likelihoods: ClassVar[frozenset[str]] = frozenset()
    """Terms of the loss that are negative log-likelihoods: they learn a scale of their own, and may well be
    negative, so that no learned weight applies to them. All others are 0 or more."""

    distributions: ClassVar[frozenset[str]] = frozenset()
    """Outputs that are logits of distributions, which `distill` compares: a temperature may divide them."""

    def __init__(self, place: HeadPlace) -> None:
        super().__init__()
        self.keypoints = len(place.skeleton.keypoints)
        self._skeleton, self._resolution = place.skeleton, place.resolutions[0]
        self._strides = tuple(level.stride for level in place.levels)
        self._anchors: dict[tuple[HeadArch, tuple[int, int]], Anchors] = {}

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, context: Context) -> Outputs:
        raise NotImplementedError

    def loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named scalar terms whose sum is the loss."""
        raise NotImplementedError

    def distill(self, student: Outputs, teacher: Outputs) -> Tensor:
        """Scalar distance of a student's outputs to a teacher's."""
        raise NotImplementedError

    def merge_flip(self, outputs: Outputs, mirrored: Outputs, flip_index: Sequence[int]) -> Outputs:
        """Outputs of an image joined with those of its mirror image."""
        raise NotImplementedError

    def decode(self, outputs: Outputs, head: HeadArch) -> Outputs:
        """Fixed-size poses or candidates, in input px; the scores of poses' keypoints are confidences."""
        raise NotImplementedError

    def anchors(self, head: HeadArch, resolution: tuple[int, int] | None = None) -> Anchors:
        """What the head's raw scores are worth: the codec states it.

        Args:
            head: the options.
            resolution: of the input (h, w), px; may be left out where scores do not depend on it.
        """
        key = head, resolution or self._resolution
        if key not in self._anchors:
            codec = head_codec(head, self._skeleton, resolution=key[1], strides=self._strides)
            self._anchors[key] = codec.anchors
        return self._anchors[key]


class SeparableOutput(nn.Module):
    """LitePose's output layer: 5x5 depthwise, batch norm, ReLU6, 1x1; refined and raw features each, added.

    Args:
        level: what comes in.
        outputs: how many maps go out.
        std: of the last weights at the start; heatmaps, nearly all zero, are learned from small ones.
    """

    def __init__(self, level: Level, outputs: int, *, std: float) -> None:
        super().__init__()
        self.refined = _SeparableConv(level.channels, outputs, std)
        raw = level.raw_channels
        self.raw = None if raw is None else _SeparableConv(raw, outputs, std)

    def last_weights(self) -> list[Tensor]:
        """[outputs, C, 1, 1] of the refined and the raw features' last layers."""
        layers = [self.refined] if self.raw is None else [self.refined, self.raw]
        return [layer.pointwise.weight for layer in layers]

    def forward(self, features: LevelFeatures, context: Context) -> Tensor:
        """(refined, raw) [B, C, h, w] -> [B, outputs, h, w]."""
        refined, raw = features
        out: Tensor = self.refined(refined, context)
        return out if self.raw is None else out + self.raw(raw, context)


class _SeparableConv(nn.Module):
    def __init__(self, channels: int, outputs: int, std: float) -> None:
        super().__init__()
        self.outputs = outputs
        self.depthwise = ElasticDepthwiseConv2d(channels, (5,))
        self.norm = ElasticBatchNorm2d(channels)
        self.pointwise = ElasticConv2d(channels, outputs, 1, bias=False)
        nn.init.kaiming_normal_(self.depthwise.weight, mode="fan_out")
        nn.init.normal_(self.pointwise.weight, std=std)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = self.norm.activated(self.depthwise(x, 5, context), context, "relu6")
        out: Tensor = self.pointwise(x, self.outputs, context)
        return out


def one_pose(places: Sequence[Tensor], raw: Tensor, anchors: Anchors) -> Outputs:
    """What a crop decodes to: `keypoints` [B, 1, K, 3] (input px, confidence) and `scores` [B, 1].

    Args:
        places: x and y of the keypoints (input px), one after the other or together: [B, K, 1 or 2].
        raw: [B, K] their raw scores, of whose mean the pose's score is made.
        anchors: what these are worth.
    """
    keypoints = torch.cat([*places, confidence(raw, anchors).unsqueeze(2)], dim=2)
    scores = pose_confidence(raw.mean(dim=1, keepdim=True), anchors)
    return {"keypoints": keypoints.unsqueeze(1), "scores": scores}


def flatten_peaks(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """The highest cell of each map: scores [B, K] and flat indices [B, K] of maps [B, K, h, w]."""
    flat = heatmaps.flatten(2)
    indices = torch.argmax(flat, dim=2, keepdim=True)
    return flat.gather(2, indices).squeeze(2), indices.squeeze(2)


def quarter_shift(heatmaps: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Cells moved by a quarter towards the higher neighbour.

    Args:
        heatmaps: [B, K, h, w].
        x, y: [B, K, M] integer cells.

    Returns:
        x and y [B, K, M] as floats; cells on the border, which lack a neighbour, stay along that axis.
    """
    height, width = heatmaps.shape[2], heatmaps.shape[3]
    flat = heatmaps.flatten(2)

    def at(column: Tensor, row: Tensor) -> Tensor:
        return flat.gather(2, row * width + column)

    inner_x, inner_y = x.clamp(1, width - 2), y.clamp(1, height - 2)
    across = torch.sign(at(inner_x + 1, y) - at(inner_x - 1, y)) * (inner_x == x)
    down = torch.sign(at(x, inner_y + 1) - at(x, inner_y - 1)) * (inner_y == y)
    return x.to(heatmaps.dtype) + 0.25 * across, y.to(heatmaps.dtype) + 0.25 * down


def squared_error(maps: Tensor, wanted: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    """Squared errors [B, K, h, w] of maps to those wanted.

    With the target `foreground` k [B] those of a cell that should be t count 1 + k t times.
    """
    error = (widened(maps) - wanted).square()
    if "foreground" not in targets:
        return error
    return error * (1 + targets["foreground"][:, None, None, None] * wanted)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """The mean of values, weighted by as many weights; nearer to 0 where these do not add up to 1.

    Values of joints [B, K] whose weights are 1 where they are labelled: the mean over these, 0 without any.
    """
    return (values * weights).sum() / weights.sum().clamp(min=1)


def cells_to_pixels(cells: Tensor, stride: float | Tensor) -> Tensor:
    """Cell positions on a map of that stride -> input px (the centre of the first pixel is 0)."""
    return (cells + 0.5) * stride - 0.5


def mirror_maps(maps: Tensor, flip_index: Sequence[int]) -> Tensor:
    """Maps [B, K, h, w] of a mirrored image as those of the image itself."""
    return maps[:, list(flip_index)].flip(3)
