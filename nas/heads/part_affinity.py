"""Part affinity head for many people (Cao et al. 2017), as in Lightweight OpenPose (Osokin 2018)."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.codecs.limb_sets import LIMB_SETS, limb_set
from nas.codecs.maps import FARTHEST, FLATTEST, LEAST_NEIGHBOUR
from nas.codecs.part_affinity import (
    AFFINITY_THRESHOLD,
    CANDIDATES,
    DETECTION_THRESHOLD,
    SAMPLES,
    SHORTEST,
    SIGMA,
    VALID_SAMPLES,
)
from nas.heads.base import HeadPlace, Outputs, PoseHead, cells_to_pixels, mirror_maps
from nas.heads.part_affinity_tower import InitialStage, TowerFeatures, TowerStage
from nas.layers import Context, LevelFeatures, widened
from nas.space.arch import Head as HeadArch

SCALE = 10.0
"""Of the losses, means over cells and sums over maps: a few units at the start."""


class PartAffinityHead(PoseHead):
    """K + 1 heatmaps, the background last, and 2 L part affinity fields at the neck's finest scale.

    Outputs `heatmaps` [B, K + 1, h, w] and `affinities` [B, 2 L, h, w] (x of all limbs, then y) of the last
    stage; where there are refinement stages, those of the stages before as `heatmaps_0`, `affinities_0` ...

    Options:
        width: channels of the tower, a multiple of 8.
        refinement: how many stages (0, 1, 2) follow the initial one.
        limbs: which pairs of keypoints have fields, one of `LIMB_SETS`.
        fewest: keypoints of a pose.
    """

    def __init__(self, place: HeadPlace) -> None:
        super().__init__(place)
        widths, depths = ([int(choice) for choice in place.options[name]] for name in ("width", "refinement"))
        self.stride = place.finest.stride
        known = [str(choice) for choice in place.options["limbs"]]
        self.counts = {choice: len(limb_set(place.skeleton, choice)) for choice in known}
        self.limbs = limb_set(place.skeleton, max(known, key=LIMB_SETS.index))
        self.first_joints, self.second_joints = (list(joints) for joints in zip(*self.limbs, strict=True))
        maps = (self.keypoints + 1, 2 * len(self.limbs))
        self.features = TowerFeatures(place.finest, max(widths))
        self.initial = InitialStage(max(widths), maps)
        self.refinements = nn.ModuleList(TowerStage(max(widths), maps) for _ in range(max(depths)))
        self.fractions: Tensor
        self.register_buffer("fractions", torch.arange(SAMPLES) / (SAMPLES - 1), persistent=False)

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, context: Context) -> Outputs:
        width, depth = int(head.option("width")), int(head.option("refinement"))
        count = self.counts[str(head.option("limbs"))]
        fields = ((0, count), (len(self.limbs), count))
        features = self.features(levels[-1], width, context)
        stages = [self.initial(features, fields, context)]
        for refinement in self.refinements[:depth]:
            stages.append(refinement(features, *stages[-1], fields, context))
        outputs: Outputs = {}
        for number, (heatmaps, affinities) in enumerate(stages):
            suffix = "" if number == depth else f"_{number}"
            outputs |= {f"heatmaps{suffix}": heatmaps, f"affinities{suffix}": affinities}
        return outputs

    def loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Masked squared errors of both kinds of maps at every stage; mask [B, h, w]."""
        mask = targets["mask"].unsqueeze(1)
        return {
            name: SCALE * _squared(maps, targets[name.partition("_")[0]], mask)
            for name, maps in outputs.items()
        }

    def distill(self, student: Outputs, teacher: Outputs) -> Tensor:
        """Squared errors of the last stage to the teacher's last."""
        heatmaps, affinities = (
            _squared(student[name], widened(teacher[name])) for name in ("heatmaps", "affinities")
        )
        return SCALE * (heatmaps + affinities)

    def merge_flip(self, outputs: Outputs, mirrored: Outputs, flip_index: Sequence[int]) -> Outputs:
        """Averages; of a mirrored limb x changes its sign, and both do where it leads the other way."""
        joints = [*flip_index, self.keypoints]
        limbs = self.limbs[: outputs["affinities"].shape[1] // 2]
        numbers = {limb: number for number, limb in enumerate(limbs)}
        sources, signs = [], []
        for start, end in limbs:
            limb = flip_index[start], flip_index[end]
            forth = limb in numbers
            sources.append(numbers[limb if forth else limb[::-1]])
            signs.append(1.0 if forth else -1.0)
        count = len(sources)
        index = [*sources, *(count + source for source in sources)]
        merged = {}
        for name, maps in outputs.items():
            if name.startswith("heatmaps"):
                other = mirror_maps(mirrored[name], joints)
            else:
                sign = maps.new_tensor([*(-sign for sign in signs), *signs])
                other = mirror_maps(mirrored[name], index) * sign[:, None, None]
            merged[name] = (maps + other) / 2
        return merged

    def decode(self, outputs: Outputs, head: HeadArch) -> Outputs:
        """Candidates of every keypoint, and how well each limb supports each pair of them, for grouping.

        Returns:
            `candidates` [B, K, M, 3]: x, y (input px), raw score, highest first; all 0 where there is none.
            `affinities` [B, L, M, M]: mean affinity from one candidate to another, 0 where it is too low.
            M is 30, or the number of cells where that is less.
        """
        x, y, scores = self._peaks(outputs["heatmaps"][:, : self.keypoints])
        found = scores > 0
        affinities = self._pairs(outputs["affinities"], x, y, found)
        nowhere = torch.zeros_like(x)
        places = [torch.where(found, cells_to_pixels(cells, self.stride), nowhere) for cells in (x, y)]
        return {"candidates": torch.stack([*places, scores], dim=3), "affinities": affinities}

    def _peaks(self, heatmaps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x, y (cells) and scores [B, K, M] of the highest local maxima; all 0 where there are fewer."""
        height, width = heatmaps.shape[2], heatmaps.shape[3]
        bordered = F.pad(heatmaps, (1, 1, 1, 1), value=-math.inf)
        highest = F.max_pool2d(bordered, 3, stride=1)
        # Of neighbours of equal height (a keypoint midway between cells) the first in reading order stands.
        above = F.max_pool2d(bordered[:, :, :-2], (1, 3), stride=1)
        earlier = torch.maximum(above, bordered[:, :, 1:-1, :-2])
        is_peak = (heatmaps >= highest) & (heatmaps > earlier) & (heatmaps > DETECTION_THRESHOLD)
        kept = torch.where(is_peak, heatmaps, torch.zeros_like(heatmaps))
        scores, indices = torch.topk(kept.flatten(2), min(CANDIDATES, height * width), dim=2)
        y = torch.div(indices, width, rounding_mode="floor")
        x = indices - y * width
        flat = heatmaps.flatten(2)
        peak = flat.gather(2, indices).clamp(min=DETECTION_THRESHOLD)

        def level(column: Tensor, row: Tensor) -> Tensor:
            neighbour = flat.gather(2, row * width + column)
            return torch.log((neighbour / peak).clamp(min=LEAST_NEIGHBOUR))

        left, right = level((x - 1).clamp(min=0), y), level((x + 1).clamp(max=width - 1), y)
        up, down = level(x, (y - 1).clamp(min=0)), level(x, (y + 1).clamp(max=height - 1))
        x, y = self._moved(x, width, left, right), self._moved(y, height, up, down)
        found, nowhere = scores > 0, torch.zeros_like(scores)
        return torch.where(found, x, nowhere), torch.where(found, y, nowhere), scores

    def _moved(self, cell: Tensor, size: int, before: Tensor, after: Tensor) -> Tensor:
        """The top of the Gaussian through three cells, along one axis: `codecs.maps.gaussian_shift`."""
        drop = (self.stride / SIGMA) ** 2
        low = torch.where(cell == 0, -after - drop, before)
        high = torch.where(cell == size - 1, -before - drop, after)
        curvature = (-low - high).clamp(min=FLATTEST)
        return cell.to(before.dtype) + ((high - low) / (2 * curvature)).clamp(-FARTHEST, FARTHEST)

    def _pairs(self, maps: Tensor, x: Tensor, y: Tensor, found: Tensor) -> Tensor:
        """Affinities [B, L, M, M] of maps [B, 2 L, h, w] between candidates [B, K, M] (cells)."""
        height, width = maps.shape[2], maps.shape[3]
        limbs = maps.shape[1] // 2
        first, second = self.first_joints[:limbs], self.second_joints[:limbs]
        (start_x, end_x), (start_y, end_y) = (
            (cells[:, first][:, :, :, None, None], cells[:, second][:, :, None, :, None]) for cells in (x, y)
        )
        along_x, along_y = end_x - start_x, end_y - start_y
        length = torch.sqrt(along_x.square() + along_y.square()).clamp(min=SHORTEST)
        near, far = 1 - self.fractions, self.fractions
        column = torch.round(start_x * near + end_x * far).clamp(0, width - 1)
        row = torch.round(start_y * near + end_y * far).clamp(0, height - 1)
        indices = (row * width + column).long()
        shape, flat = indices.shape, indices.flatten(2)
        field_x = maps[:, :limbs].flatten(2).gather(2, flat).reshape(shape)
        field_y = maps[:, limbs:].flatten(2).gather(2, flat).reshape(shape)
        values = field_x * (along_x / length) + field_y * (along_y / length)
        mean = values.mean(dim=4)
        supported = (values > AFFINITY_THRESHOLD).to(mean.dtype).sum(dim=4) >= VALID_SAMPLES
        both = found[:, first].unsqueeze(3) & found[:, second].unsqueeze(2)
        counts = supported & both & (mean > AFFINITY_THRESHOLD)
        return torch.where(counts, mean, torch.zeros_like(mean))


def _squared(maps: Tensor, wanted: Tensor, mask: Tensor | None = None) -> Tensor:
    """Squared errors of maps [B, C, h, w], summed over the maps, averaged over cells and images."""
    error = (widened(maps) - wanted).square()
    return (error if mask is None else error * mask).sum(dim=1).mean()
