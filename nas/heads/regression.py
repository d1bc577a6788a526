"""Regression head for person crops (DeepPose, Toshev & Szegedy, CVPR 2014)."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.codecs.regression import RegressionCodec, checked_bone
from nas.heads.base import HeadPlace, Outputs, PoseHead, cells_to_pixels, one_pose, weighted_mean
from nas.heads.similarity import keypoint_similarity
from nas.layers import Context, ElasticConv2d, Level, LevelFeatures, widened
from nas.space.arch import Head as HeadArch

Pooled = tuple[Tensor, ...]
"""Means [B, C, 1, 1] of every map that a neck hands over."""

LINEAR_STD = 0.01
SCALE = 10.0
"""Normalised errors are a few tenths at first; scaled, all crop heads' losses are of one order."""
SMOOTH = 0.02
"""Normalised errors below this, 5 px in 256, count by their squares."""


class RegressionHead(PoseHead):
    """Global average pooling and a linear layer to two coordinates per joint.

    Outputs `xy` [B, K, 2], normalised: 0 is the input's centre, -0.5 and 0.5 are its borders; `size` [2], the
    input's (w, h) in px; with a score branch `score_logits` [B, K].
    """

    unscored: ClassVar[str] = RegressionCodec.unscored

    def __init__(self, place: HeadPlace) -> None:
        super().__init__(place)
        self.stride = place.finest.stride
        self.limbs = place.skeleton.limb_index
        self.sigmas = place.skeleton.sigmas
        for weight in place.options["bone"]:
            checked_bone(float(weight), place.skeleton)
        self.may_score = set(place.options["score"]) != {self.unscored}
        self.xy = PooledLinear(place.levels, 2 * self.keypoints)
        if self.may_score:
            self.score = PooledLinear(place.levels, self.keypoints)

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, context: Context) -> Outputs:
        pooled = self.pooled(levels, head)
        outputs = self.located(pooled, levels, context)
        if self.has_score_branch(head):
            outputs["score_logits"] = self.score(pooled, context)
        return outputs

    def pooled(self, levels: tuple[LevelFeatures, ...], head: HeadArch) -> Pooled:
        """The mean of every map, in training with dropout."""
        share = float(head.option("dropout"))
        return tuple(
            F.dropout(F.adaptive_avg_pool2d(maps, 1), share, self.training)
            for level in levels
            for maps in level
            if maps is not None
        )

    def located(self, pooled: Pooled, levels: tuple[LevelFeatures, ...], context: Context) -> Outputs:
        """The outputs `xy` and `size`."""
        finest = levels[-1][0]
        size = (finest.shape[3] * self.stride, finest.shape[2] * self.stride)
        return {
            "xy": self.xy(pooled, context).unflatten(1, (self.keypoints, 2)),
            "size": torch.tensor(size, dtype=torch.float32, device=finest.device),
        }

    def has_score_branch(self, head: HeadArch) -> bool:
        """Whether scores have a branch of their own."""
        return head.option("score") != self.unscored

    def loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Means over labelled joints (weights [B, K]) and limbs, according to the targets that there are.

        `xy` is `location_loss`; `bone` compares the vectors along limbs (Sun et al., ICCV 2017) of weights
        [B, L]; `score` is quality focal loss of each joint's OKS, which is no gradient's way to `xy`.
        """
        weights = targets["weights"]
        xy = widened(outputs["xy"])
        terms = {"xy": weighted_mean(self.location_loss(outputs, targets), weights)}
        if "limb_weights" in targets:
            limbs = targets["limb_weights"]
            error = smooth_distance(self._bones(xy), self._bones(targets["xy"]))
            terms["bone"] = (error * limbs).sum() / (limbs > 0).sum().clamp(min=1)
        if "focus" in targets:
            size, sigmas = outputs["size"], xy.new_tensor(self.sigmas)
            quality = keypoint_similarity(xy.detach() * size, targets["xy"] * size, targets["areas"], sigmas)
            logits = widened(outputs["score_logits"])
            terms["score"] = weighted_mean(
                quality_focal_loss(logits, quality, targets["focus"][:, None]), weights
            )
        return terms

    def location_loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> Tensor:
        """Smooth L1 distance [B, K] of `xy` to its target, summed over the axes."""
        return smooth_distance(widened(outputs["xy"]), targets["xy"])

    def distill(self, student: Outputs, teacher: Outputs) -> Tensor:
        """`location_distance` and, with score branches, the Kullback-Leibler divergence of the scores."""
        distance = self.location_distance(student, teacher).mean()
        if "score_logits" in student:
            logits, known = widened(student["score_logits"]), widened(teacher["score_logits"])
            score = torch.sigmoid(known)
            cross = F.binary_cross_entropy_with_logits(logits, score)
            distance = distance + cross - F.binary_cross_entropy_with_logits(known, score)
        return distance

    def location_distance(self, student: Outputs, teacher: Outputs) -> Tensor:
        """Smooth L1 distance [B, K] to the teacher's coordinates, summed over the axes."""
        return smooth_distance(widened(student["xy"]), widened(teacher["xy"]))

    def merge_flip(self, outputs: Outputs, mirrored: Outputs, flip_index: Sequence[int]) -> Outputs:
        """Means with what the mirrored image says of the other side; mirrored x has the other sign."""
        index = list(flip_index)
        flipped = {name: value[:, index] for name, value in mirrored.items() if name != "size"}
        flipped["xy"] = flipped["xy"] * flipped["xy"].new_tensor((-1, 1))
        return {"size": outputs["size"]} | {n: (outputs[n] + value) / 2 for n, value in flipped.items()}

    def decode(self, outputs: Outputs, head: HeadArch) -> Outputs:
        """The pose, as `one_pose` gives it; raw scores are the branch's probabilities where there is one."""
        xy = cells_to_pixels(outputs["xy"], outputs["size"])
        branch = outputs.get("score_logits")
        scores = self.scores_without_branch(outputs) if branch is None else torch.sigmoid(branch)
        return one_pose([xy], scores, self.anchors(head))

    def scores_without_branch(self, outputs: Outputs) -> Tensor:
        """The joints' raw scores [B, K] where there is no score branch: 1."""
        return torch.ones_like(outputs["xy"][:, :, 0])

    def _bones(self, xy: Tensor) -> Tensor:
        """Vectors [B, L, 2] along the limbs of joints [B, K, 2]."""
        starts, ends = zip(*self.limbs, strict=True)
        return xy[:, list(ends)] - xy[:, list(starts)]


class PooledLinear(nn.Module):
    """A linear layer from the means of all maps, as many channels as they may have.

    Under autocast it stays in fp32: eight bits of a coordinate would be whole pixels.
    """

    def __init__(self, levels: Sequence[Level], outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.parts = nn.ModuleList(
            ElasticConv2d(channels, outputs, 1, bias=position == 0)
            for position, channels in enumerate(map_channels(levels))
        )
        for part in self.parts:
            assert isinstance(part, ElasticConv2d)
            nn.init.normal_(part.weight, std=LINEAR_STD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)

    def forward(self, pooled: Pooled, context: Context) -> Tensor:
        """Means [B, C, 1, 1] of every map -> [B, outputs]."""
        with torch.autocast(pooled[0].device.type, enabled=False):
            first, *others = (
                part(widened(mean), self.outputs, context)
                for part, mean in zip(self.parts, pooled, strict=True)
            )
            total: Tensor = sum(others, start=first)
        return total.flatten(1)


def map_channels(levels: Sequence[Level]) -> list[int]:
    """The channels of every map that a neck hands over: refined and, where there are any, raw features."""
    every = (channels for level in levels for channels in (level.channels, level.raw_channels))
    return [channels for channels in every if channels is not None]


def smooth_distance(xy: Tensor, target: Tensor) -> Tensor:
    """Scaled smooth L1 distance [B, N] of points [B, N, 2], summed over the axes."""
    return SCALE * F.smooth_l1_loss(xy, target, reduction="none", beta=SMOOTH).sum(dim=2)


def quality_focal_loss(logits: Tensor, quality: Tensor, focus: Tensor) -> Tensor:
    """|quality - sigmoid(logits)|^focus times the binary cross entropy of both, entry by entry.

    Of Li et al., Generalized Focal Loss, NeurIPS 2020; with focus 0 plain binary cross entropy.
    """
    distance = (quality - torch.sigmoid(logits)).abs()
    return distance**focus * F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
