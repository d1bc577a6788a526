"""What heads share that classify each keypoint along x and along y."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.heads.base import Outputs, PoseHead, cells_to_pixels, one_pose, weighted_mean
from nas.layers import Axis, widened
from nas.space.arch import Head as HeadArch
from nas.space.specs import OptionValue


class AxisHead(PoseHead):
    """Base of heads whose outputs `x` [B, K, W * split] and `y` [B, K, H * split] say where along each axis.

    The probability of a bin is softmax(sharpness * output). Losses are sums over bins, so that they are of
    one size at every resolution.
    """

    distributions: ClassVar[frozenset[str]] = frozenset({"x", "y"})
    sharpness: ClassVar[float] = 1.0

    def label(self, target: Tensor) -> Tensor:
        """The probabilities [B, K, bins] that the codec's target [B, K, bins] stands for."""
        raise NotImplementedError

    def loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Kullback-Leibler divergence per axis, mean over labelled joints (weights [B, K])."""
        return {
            axis: weighted_mean(
                self._divergence(outputs[axis], self.label(targets[axis])), targets["weights"]
            )
            for axis in ("x", "y")
        }

    def distill(self, student: Outputs, teacher: Outputs) -> Tensor:
        """Kullback-Leibler divergence to the teacher's distributions, summed over the axes."""
        return sum(
            (
                self._divergence(
                    student[axis], (self.sharpness * widened(teacher[axis])).softmax(dim=2)
                ).mean()
                for axis in ("x", "y")
            ),
            start=student["x"].new_zeros(()),
        )

    def merge_flip(self, outputs: Outputs, mirrored: Outputs, flip_index: Sequence[int]) -> Outputs:
        """The means of both: the mirrored image's x run backwards."""
        index = list(flip_index)
        return {
            "x": (outputs["x"] + mirrored["x"][:, index].flip(2)) / 2,
            "y": (outputs["y"] + mirrored["y"][:, index]) / 2,
        }

    def decode(self, outputs: Outputs, head: HeadArch) -> Outputs:
        """The pose, as `one_pose` gives it; raw scores are geometric means of both bins' probabilities."""
        split = int(head.option("split"))
        x, x_score = self._peak(outputs["x"])
        y, y_score = self._peak(outputs["y"])
        scores = torch.sqrt(x_score * y_score)
        places = [cells_to_pixels(bins, 1 / split).unsqueeze(2) for bins in (x, y)]
        resolution = outputs["y"].shape[2] // split, outputs["x"].shape[2] // split
        return one_pose(places, scores, self.anchors(head, resolution))

    def _divergence(self, outputs: Tensor, label: Tensor) -> Tensor:
        """KL(label || softmax(sharpness * outputs)) [B, K] of distributions [B, K, bins]."""
        log_probability = F.log_softmax(self._sharpened(widened(outputs)), dim=2)
        return F.kl_div(log_probability, label, reduction="none").sum(dim=2)

    def _peak(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The most probable bin [B, K] and its probability [B, K]."""
        probability = self._probability(outputs)
        index = torch.argmax(outputs, dim=2, keepdim=True)
        return index.squeeze(2).to(outputs.dtype), probability.gather(2, index).squeeze(2)

    def _probability(self, outputs: Tensor) -> Tensor:
        return torch.softmax(self._sharpened(outputs), dim=2)

    def _sharpened(self, outputs: Tensor) -> Tensor:
        return outputs if self.sharpness == 1 else outputs * self.sharpness


def grid_axes(resolutions: Sequence[tuple[int, int]], stride: int) -> tuple[Axis, Axis]:
    """Height and width of the maps of that stride, in cells, at every resolution (h, w)."""
    heights, widths = zip(*resolutions, strict=True)
    return Axis.samples(side // stride for side in heights), Axis.samples(side // stride for side in widths)


def bin_axes(resolutions: Sequence[tuple[int, int]], splits: Sequence[OptionValue]) -> tuple[Axis, Axis]:
    """The bins along y and along x, with every number of bins per pixel at every resolution (h, w)."""
    counts = [int(split) for split in splits]
    heights, widths = zip(*resolutions, strict=True)
    return (
        Axis.samples(side * split for side in heights for split in counts),
        Axis.samples(side * split for side in widths for split in counts),
    )
