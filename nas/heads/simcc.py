"""SimCC head for person crops (Li et al. 2022): one classification per axis."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.heads.base import Head, Level, LevelFeatures, Outputs, SeparableOutput, cells_to_pixels
from nas.layers import ResampledLinear, Run, widened
from nas.space.arch import Head as HeadArch
from nas.space.arch import OptionValue
from nas.space.skeleton import Skeleton

MAP_STD = 0.1


class SimCCHead(Head):
    """A map per joint, flattened, and one linear layer per axis to `split` bins per pixel.

    Outputs `x` [B, K, W * split] and `y` [B, K, H * split], both logits. The linear layers are tied to the
    grid; for other resolutions their weights are resampled.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        skeleton: Skeleton,
        resolutions: Sequence[tuple[int, int]],
        options: Mapping[str, Sequence[OptionValue]],
    ) -> None:
        super().__init__(levels, skeleton, resolutions, options)
        self.stride = levels[-1].stride
        self.output = SeparableOutput(levels[-1], self.keypoints, std=MAP_STD)
        grids = [(height // self.stride, width // self.stride) for height, width in resolutions]
        splits = [int(split) for split in options["split"]]
        self.x = ResampledLinear(grids, [width * split for _, width in resolutions for split in splits])
        self.y = ResampledLinear(grids, [height * split for height, _ in resolutions for split in splits])

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, run: Run) -> Outputs:
        maps = self.output(levels[-1], run)
        bins = int(head.option("split")) * self.stride
        return {
            "x": self.x(maps, maps.shape[3] * bins, run),
            "y": self.y(maps, maps.shape[2] * bins, run),
        }

    def loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Kullback-Leibler divergence per axis, mean over labelled joints (weights [B, K])."""
        weights = targets["weights"]
        count = weights.sum().clamp(min=1)
        return {
            axis: (_divergence(outputs[axis], _normalised(targets[axis])) * weights).sum() / count
            for axis in ("x", "y")
        }

    def distill(self, student: Outputs, teacher: Outputs) -> Tensor:
        """Kullback-Leibler divergence to the teacher's distributions, summed over the axes."""
        return sum(
            (_divergence(student[axis], widened(teacher[axis]).softmax(dim=2)).mean() for axis in ("x", "y")),
            start=student["x"].new_zeros(()),
        )

    def merge_flip(self, outputs: Outputs, mirrored: Outputs, flip_index: Sequence[int]) -> Outputs:
        index = list(flip_index)
        return {
            "x": (outputs["x"] + mirrored["x"][:, index].flip(2)) / 2,
            "y": (outputs["y"] + mirrored["y"][:, index]) / 2,
        }

    def decode(self, outputs: Outputs, head: HeadArch) -> Outputs:
        """`keypoints` [B, 1, K, 3] (input px, score = probability of the bins) and `scores` [B, 1]."""
        split = int(head.option("split"))
        x, x_score = _peak(outputs["x"])
        y, y_score = _peak(outputs["y"])
        scores = torch.sqrt(x_score * y_score)
        x, y = cells_to_pixels(x, 1 / split), cells_to_pixels(y, 1 / split)
        keypoints = torch.stack([x, y, scores], dim=2)
        return {"keypoints": keypoints.unsqueeze(1), "scores": scores.mean(dim=1, keepdim=True)}


def _normalised(target: Tensor) -> Tensor:
    return target / target.sum(dim=2, keepdim=True).clamp(min=1e-9)


def _divergence(logits: Tensor, target: Tensor) -> Tensor:
    """KL(target || softmax(logits)) [B, K] of distributions [B, K, bins]."""
    log_probability = F.log_softmax(widened(logits), dim=2)
    return F.kl_div(log_probability, target, reduction="none").sum(dim=2)


def _peak(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The most probable bin [B, K] and its probability [B, K]."""
    probability = torch.softmax(logits, dim=2)
    index = torch.argmax(logits, dim=2, keepdim=True)
    return index.squeeze(2).to(logits.dtype), probability.gather(2, index).squeeze(2)
