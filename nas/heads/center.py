"""Centre head for many people or one (MoveNet; CenterNet, Zhou et al. 2019)."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.codecs.center import (
    CENTER_THRESHOLD,
    KEYPOINT_THRESHOLD,
    NEARNESS,
    NMS_KERNEL,
    REACH,
    SIGMA,
    STRIDE,
    closeness,
    window,
)
from nas.codecs.confidence import found_confidence
from nas.heads.base import (
    HEATMAP_STD,
    HeadPlace,
    Outputs,
    PoseHead,
    SeparableOutput,
    cells_to_pixels,
    mirror_maps,
    weighted_mean,
)
from nas.layers import Context, LevelFeatures, widened
from nas.space.arch import Head as HeadArch

PEAK_WEIGHT = 8.0
"""A cell's squared error weighs 1 + 8 t at a target of t: nearly all cells are background."""

ROUNDING = 1e-6
"""Added to squared lengths (cells^2): the root has no gradient at 0."""


def _softsign(x: Tensor) -> Tensor:
    return 0.5 * x / (1 + x.abs()) + 0.5


ACTIVATIONS: Mapping[str, tuple[Callable[[Tensor], Tensor], float]] = MappingProxyType(
    {"sigmoid": (torch.sigmoid, -3.0), "softsign": (_softsign, -9.5)}
)
"""By option `activation`: the function, and what is added before it: a raw output of 0 means a twentieth."""


class CenterHead(PoseHead):
    """Keypoint and centre heatmaps, keypoints seen from the centre, offsets; see `CenterCodec`.

    Outputs `heatmaps` [B, K, h, w] and `center` [B, 1, h, w] between 0 and 1, `regressions` [B, 2 K, h, w] in
    units of `REACH` cells of stride 4 and `offsets` [B, 2 K, h, w] in cells, all x before all y.
    """

    def __init__(self, place: HeadPlace) -> None:
        super().__init__(place)
        if place.finest.stride != STRIDE:
            raise ValueError(f"the centre head needs a neck that ends at stride {STRIDE}")
        self.limbs = place.skeleton.limb_index
        self.maps = SeparableOutput(place.finest, self.keypoints + 1, std=HEATMAP_STD)
        self.regressions = SeparableOutput(place.finest, 2 * self.keypoints, std=HEATMAP_STD)
        self.offsets = SeparableOutput(place.finest, 2 * self.keypoints, std=HEATMAP_STD)

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, context: Context) -> Outputs:
        activation, shift = ACTIVATIONS[str(head.option("activation"))]
        maps = activation(self.maps(levels[-1], context) + shift)
        return {
            "heatmaps": maps[:, : self.keypoints],
            "center": maps[:, self.keypoints :],
            "regressions": self.regressions(levels[-1], context),
            "offsets": self.offsets(levels[-1], context),
        }

    def loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weighted squared errors of the heatmaps, distances of regressions, limbs' lengths and offsets.

        Heatmap terms are sums over cells, means over keypoints and people; the others are means over what is
        taught, in cells. All have weight 1. Targets as `CenterCodec.encode` gives them, with a batch axis.
        """
        joints = targets["joints"].to(widened(outputs["regressions"]).dtype)
        people = joints[..., 2].amax(dim=2).sum().clamp(min=1)
        terms = {}
        for name in ("heatmaps", "center"):
            error = _weighted_error(widened(outputs[name]), targets[name])
            terms[name] = (error * targets["mask"].unsqueeze(1)).sum() / (people * error.shape[1])
        width = outputs["center"].shape[3]
        cells, taught = targets["discs"].unbind(-1)
        everyones = cells.unsqueeze(2).expand(-1, -1, self.keypoints, -1)
        found = REACH * _at(widened(outputs["regressions"]), everyones)
        wanted = _seen_from(joints, cells.unsqueeze(2), width)
        weights = taught.unsqueeze(2) * joints[..., 2:]
        terms["regression"] = weighted_mean((found - wanted).abs().mean(dim=4), weights)
        terms["bone"] = self._bone_term(found, wanted, weights)
        cells, taught = targets["blocks"].unbind(-1)
        found, wanted = _at(widened(outputs["offsets"]), cells), _seen_from(joints, cells, width)
        terms["offset"] = weighted_mean((found - wanted).abs().mean(dim=4), taught * joints[..., 2:])
        return terms

    def _bone_term(self, found: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
        """The mean difference of limbs' lengths, of keypoints [B, P, K, D, 2] and weights [B, P, K, D]."""
        if not self.limbs:
            return found.new_zeros(())
        start, end = (list(ends) for ends in zip(*self.limbs, strict=True))
        difference = (_length(found[:, :, end] - found[:, :, start])) - _length(
            wanted[:, :, end] - wanted[:, :, start]
        )
        return weighted_mean(difference.abs(), weights[:, :, end] * weights[:, :, start])

    def distill(self, student: Outputs, teacher: Outputs) -> Tensor:
        """The loss's terms, weighted by what the teacher sees: centres and, for offsets, keypoints."""
        student, teacher = ({k: widened(v) for k, v in maps.items()} for maps in (student, teacher))
        # A Gaussian's cells add up to 2 pi sigma^2.
        people = (teacher["center"].sum() / (2 * math.pi * SIGMA**2)).clamp(min=1)
        total = student["center"].new_zeros(())
        for name in ("heatmaps", "center"):
            error = _weighted_error(student[name], teacher[name])
            total = total + error.sum() / (people * error.shape[1])
        for name, seen, unit in (("regressions", "center", REACH), ("offsets", "heatmaps", 1.0)):
            x, y = (student[name] - teacher[name]).abs().chunk(2, dim=1)
            distance = unit * (x + y) / 2
            weights = teacher[seen].expand_as(distance)
            total = total + weighted_mean(distance, weights)
        return total

    def merge_flip(self, outputs: Outputs, mirrored: Outputs, flip_index: Sequence[int]) -> Outputs:
        """Averages; what points to the left in the mirror image points to the right."""
        flip = list(flip_index)
        both = [*flip, *(self.keypoints + joint for joint in flip)]
        back = {
            "heatmaps": mirror_maps(mirrored["heatmaps"], flip),
            "center": mirror_maps(mirrored["center"], [0]),
        }
        for name in ("regressions", "offsets"):
            x, y = mirror_maps(mirrored[name], both).chunk(2, dim=1)
            back[name] = torch.cat([-x, y], dim=1)
        return {name: (maps + back[name]) / 2 for name, maps in outputs.items()}

    def decode(self, outputs: Outputs, head: HeadArch) -> Outputs:
        """`keypoints` [B, people, K, 3] (input px, confidence) and `scores` [B, people]."""
        people = int(head.option("people"))
        width = outputs["center"].shape[3]
        centers, column, row = _best_centers(outputs["center"], people)
        index = (row * width + column).unsqueeze(1).expand(-1, 2 * self.keypoints, -1)
        x, y = (REACH * outputs["regressions"].flatten(2).gather(2, index)).chunk(2, dim=1)
        x, y, values = _refined(outputs, x + column.unsqueeze(1), y + row.unsqueeze(1))
        confidences = found_confidence(values, self.anchors(head), library=torch)
        places = [cells_to_pixels(x, STRIDE), cells_to_pixels(y, STRIDE), confidences]
        keypoints = torch.stack(places, dim=3).transpose(1, 2)
        scores = centers * values.mean(dim=1)
        found = scores > 0
        keypoints = torch.where(found.unsqueeze(2).unsqueeze(3), keypoints, torch.zeros_like(keypoints))
        scores = torch.where(found, scores, torch.zeros_like(scores))
        if missing := people - scores.shape[1]:
            keypoints, scores = F.pad(keypoints, (0, 0, 0, 0, 0, missing)), F.pad(scores, (0, missing))
        return {"keypoints": keypoints, "scores": scores}


def _best_centers(center: Tensor, people: int) -> tuple[Tensor, Tensor, Tensor]:
    """Value, column and row [B, N] of the best centres of maps [B, 1, h, w]; the value is 0 where none is."""
    height, width = center.shape[2], center.shape[3]
    if people == 1:
        near = torch.from_numpy(closeness((height, width)))
        ranking = center * near.to(center.device, center.dtype)
    else:
        highest = F.max_pool2d(center, NMS_KERNEL, stride=1, padding=NMS_KERNEL // 2)
        center = ranking = torch.where(center == highest, center, torch.zeros_like(center))
    _, index = torch.topk(ranking.flatten(1), min(people, height * width), dim=1)
    values = center.flatten(1).gather(1, index)
    row = torch.div(index, width, rounding_mode="floor")
    column = index - row * width
    values = values * (values >= CENTER_THRESHOLD)
    if people > 1:
        values = values * (1 - _adjoins_a_better_one(column, row).to(values.dtype))
    return values, column, row


def _adjoins_a_better_one(x: Tensor, y: Tensor) -> Tensor:
    """[B, N] whether a cell is a neighbour of an earlier one: max-pooling keeps all cells of a flat top."""
    count = x.shape[1]
    earlier = torch.ones(count, count, device=x.device).tril(-1)
    across, down = x.unsqueeze(2) - x.unsqueeze(1), y.unsqueeze(2) - y.unsqueeze(1)
    near = (across.abs() <= 1) & (down.abs() <= 1)
    return (near.to(earlier.dtype) * earlier).sum(dim=2) > 0


def _refined(outputs: Outputs, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Column, row and heatmap value [B, K, N] of the peaks near places (cells, [B, K, N])."""
    heatmaps = outputs["heatmaps"]
    count, height, width = heatmaps.shape[1:]
    shape = torch.from_numpy(window()).to(x.device, x.dtype)
    columns = (x.round().clamp(0, width - 1).unsqueeze(3) + shape[:, 0]).clamp(0, width - 1)
    rows = (y.round().clamp(0, height - 1).unsqueeze(3) + shape[:, 1]).clamp(0, height - 1)
    # What is not finite is no place; it must not be an index beyond the map either.
    cells = (rows * width + columns).long().clamp(0, height * width - 1)
    heat = heatmaps.flatten(2).gather(2, cells.flatten(2)).reshape(cells.shape)
    squares = (columns - x.unsqueeze(3)).square() + (rows - y.unsqueeze(3)).square()
    peak = torch.argmax(heat / (squares.sqrt() + NEARNESS), dim=3, keepdim=True)
    values, cell = heat.gather(3, peak).squeeze(3), cells.gather(3, peak).squeeze(3)
    offsets = outputs["offsets"].flatten(2)
    row = torch.div(cell, width, rounding_mode="floor")
    seen = values >= KEYPOINT_THRESHOLD
    found_x = (cell - row * width) + offsets[:, :count].gather(2, cell)
    found_y = row + offsets[:, count:].gather(2, cell)
    return torch.where(seen, found_x, x), torch.where(seen, found_y, y), values


def _weighted_error(found: Tensor, wanted: Tensor) -> Tensor:
    return (found - wanted).square() * (1 + PEAK_WEIGHT * wanted)


def _at(maps: Tensor, cells: Tensor) -> Tensor:
    """[B, P, K, D, 2] the vectors of maps [B, 2 K, h, w] at cells [B, P, K, D], index into h * w."""
    batch, people, count, near = cells.shape
    index = cells.transpose(1, 2).reshape(batch, 1, count, people * near).expand(-1, 2, -1, -1)
    vectors = maps.reshape(batch, 2, count, -1).gather(3, index)
    return vectors.reshape(batch, 2, count, people, near).permute(0, 3, 2, 4, 1)


def _seen_from(joints: Tensor, cells: Tensor, width: int) -> Tensor:
    """[B, P, K, D, 2] from cells [B, P, K or 1, D] to joints [B, P, K, 3], in cells."""
    rows = torch.div(cells, width, rounding_mode="floor")
    places = torch.stack([cells - rows * width, rows], dim=4)
    return joints[..., :2].unsqueeze(3) - places


def _length(vectors: Tensor) -> Tensor:
    return (vectors.square().sum(dim=-1) + ROUNDING).sqrt()
