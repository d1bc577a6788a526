"""Heatmap head for person crops (SimpleBaseline, Xiao et al. 2018)."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.heads.base import (
    HEATMAP_STD,
    HeadPlace,
    Outputs,
    PoseHead,
    SeparableOutput,
    cells_to_pixels,
    flatten_peaks,
    mirror_maps,
    one_pose,
    quarter_shift,
    squared_error,
    weighted_mean,
)
from nas.heads.dark import dark_shift
from nas.layers import Context, LevelFeatures, widened
from nas.space.arch import Head as HeadArch

REFINEMENTS: Mapping[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = MappingProxyType(
    {"quarter": quarter_shift, "dark": dark_shift}
)


class HeatmapHead(PoseHead):
    """One map per joint at the neck's finest scale; outputs `heatmaps` [B, K, h, w]."""

    def __init__(self, place: HeadPlace) -> None:
        super().__init__(place)
        self.stride = place.finest.stride
        self.output = SeparableOutput(place.finest, self.keypoints, std=HEATMAP_STD)

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, context: Context) -> Outputs:
        return {"heatmaps": self.output(levels[-1], context)}

    def loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean of `squared_error` over the labelled joints (weights [B, K]); maps [B, K, h, w]."""
        error = squared_error(outputs["heatmaps"], targets["heatmaps"], targets).mean(dim=(2, 3))
        return {"heatmap": SCALE * weighted_mean(error, targets["weights"])}

    def distill(self, student: Outputs, teacher: Outputs) -> Tensor:
        """Mean squared error to the teacher's maps."""
        return SCALE * F.mse_loss(widened(student["heatmaps"]), widened(teacher["heatmaps"]))

    def merge_flip(self, outputs: Outputs, mirrored: Outputs, flip_index: Sequence[int]) -> Outputs:
        return {"heatmaps": (outputs["heatmaps"] + mirror_maps(mirrored["heatmaps"], flip_index)) / 2}

    def decode(self, outputs: Outputs, head: HeadArch) -> Outputs:
        """The pose, as `one_pose` gives it; raw scores are the peaks' heights."""
        heatmaps = outputs["heatmaps"]
        width = heatmaps.shape[3]
        scores, indices = flatten_peaks(heatmaps)
        rows = torch.div(indices, width, rounding_mode="floor").unsqueeze(2)
        refine = REFINEMENTS[str(head.option("refine"))]
        x, y = refine(heatmaps, indices.unsqueeze(2) - rows * width, rows)
        x, y = cells_to_pixels(x, self.stride), cells_to_pixels(y, self.stride)
        return one_pose([x, y], scores, self.anchors(head))


SCALE = 100.0
"""Mean squared errors of sparse maps are small; scaled, all crop heads' losses are of one order."""
