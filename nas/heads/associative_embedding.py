"""Associative embedding head for many people (Newell et al. 2017; HigherHRNet; LitePose)."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.heads.base import (
    HEATMAP_STD,
    HeadPlace,
    Outputs,
    PoseHead,
    SeparableOutput,
    cells_to_pixels,
    mirror_maps,
    quarter_shift,
    squared_error,
)
from nas.layers import Context, LevelFeatures, widened
from nas.space.arch import Head as HeadArch

CANDIDATES = 30
"""Peaks kept per joint: as many as there may be people."""
TAG_STD = 0.1
"""Of the tags' last weights at the start: push has no gradient between tags that are equal."""
PULL_WEIGHT = PUSH_WEIGHT = 1e-3


class AssociativeEmbeddingHead(PoseHead):
    """Heatmaps at two scales and one tag map per joint at the coarser one.

    Outputs `heatmaps_4` [B, K, H/4, W/4], `tags` [B, K, H/4, W/4, T] and `heatmaps_2` [B, K, H/2, W/2].
    T is 1, and 2 after a flip test.
    """

    def __init__(self, place: HeadPlace) -> None:
        super().__init__(place)
        if [level.stride for level in place.levels[-2:]] != [4, 2]:
            raise ValueError("associative embedding needs a neck whose last two levels have strides 4 and 2")
        self.output_4 = SeparableOutput(place.levels[-2], 2 * self.keypoints, std=HEATMAP_STD)
        self.output_2 = SeparableOutput(place.finest, self.keypoints, std=HEATMAP_STD)
        for weight in self.output_4.last_weights():
            nn.init.normal_(weight[self.keypoints :], std=TAG_STD)

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, context: Context) -> Outputs:
        maps: Tensor = self.output_4(levels[-2], context)
        return {
            "heatmaps_4": maps[:, : self.keypoints],
            "tags": maps[:, self.keypoints :].unsqueeze(4),
            "heatmaps_2": self.output_2(levels[-1], context),
        }

    def loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Masked mean of `squared_error` at both scales; pull and push of tags, sums over joints and people.

        Targets: `heatmaps_s` [B, K, h, w] and `mask_s` [B, h, w] for both strides s, `joints` [B, P, K, 2]:
        flat index into K * h * w of the coarser map, and whether the joint is labelled.
        """
        terms = {}
        for stride in (4, 2):
            name = f"heatmaps_{stride}"
            error = squared_error(outputs[name], targets[name], targets)
            terms[f"heatmap_{stride}"] = (error * targets[f"mask_{stride}"].unsqueeze(1)).mean()
        pull, push = tag_loss(widened(outputs["tags"])[..., 0], targets["joints"])
        return {**terms, "pull": PULL_WEIGHT * pull, "push": PUSH_WEIGHT * push}

    def distill(self, student: Outputs, teacher: Outputs) -> Tensor:
        """Mean squared error to the teacher's heatmaps and, where it sees joints, to its tags."""
        loss = sum(
            (
                F.mse_loss(widened(student[name]), widened(teacher[name]))
                for name in ("heatmaps_4", "heatmaps_2")
            ),
            start=student["tags"].new_zeros(()),
        )
        seen = widened(teacher["heatmaps_4"]).clamp(0, 1).unsqueeze(4)
        tags = ((widened(student["tags"]) - widened(teacher["tags"])).square() * seen).sum()
        return loss + PULL_WEIGHT * tags / seen.sum().clamp(min=1)

    def merge_flip(self, outputs: Outputs, mirrored: Outputs, flip_index: Sequence[int]) -> Outputs:
        """Averaged heatmaps; tags side by side, since each pass has an embedding of its own."""
        merged = {
            name: (outputs[name] + mirror_maps(mirrored[name], flip_index)) / 2
            for name in ("heatmaps_4", "heatmaps_2")
        }
        tags = torch.cat([outputs["tags"], mirror_maps(mirrored["tags"], flip_index)], dim=4)
        return {**merged, "tags": tags}

    def decode(self, outputs: Outputs, head: HeadArch) -> Outputs:
        """Candidates of every joint, for grouping.

        Returns:
            `candidates` [B, K, 30, 3 + T]: x, y (input px), raw score, tags; `heatmap` [B, K, H/2, W/2], the
            mean of both scales, and `tag_map` [B, K, H/2, W/2, T], to fill missing joints from.
        """
        fine = outputs["heatmaps_2"]
        width = fine.shape[3]
        heatmap = (_enlarge(outputs["heatmaps_4"]) + fine) / 2
        tags = outputs["tags"]
        # Tags are trained cell by cell: a mixture of two people's tags would be a third person's.
        tag_maps = [
            F.interpolate(tags[:, :, :, :, t], scale_factor=2.0, mode="nearest") for t in range(tags.shape[4])
        ]

        peaks = F.max_pool2d(heatmap, 5, stride=1, padding=2)
        kept = torch.where(heatmap == peaks, heatmap, torch.zeros_like(heatmap))
        scores, indices = torch.topk(kept.flatten(2), CANDIDATES, dim=2)
        rows = torch.div(indices, width, rounding_mode="floor")
        x, y = quarter_shift(heatmap, indices - rows * width, rows)
        columns = [cells_to_pixels(x, 2), cells_to_pixels(y, 2), scores]
        columns += [tag_map.flatten(2).gather(2, indices) for tag_map in tag_maps]
        return {
            "candidates": torch.stack(columns, dim=3),
            "heatmap": heatmap,
            "tag_map": torch.stack(tag_maps, dim=4),
        }


def _enlarge(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)


def tag_loss(tags: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
    """Pull and push of associative embedding, means over the batch.

    Pull is the mean over people of their joints' squared distance to the person's mean tag; push is half the
    mean over pairs of different people of exp(-d^2) between mean tags.

    Args:
        tags: [B, K, h, w].
        joints: [B, P, K, 2] flat index into K * h * w, and 1 where the joint is labelled.
    """
    batch = tags.shape[0]
    index, labelled = joints[..., 0], joints[..., 1].to(tags.dtype)
    values = tags.flatten(1).gather(1, index.flatten(1)).reshape(index.shape)
    counts = labelled.sum(dim=2)
    means = (values * labelled).sum(dim=2) / counts.clamp(min=1)
    present = (counts > 0).to(tags.dtype)
    people = present.sum(dim=1)

    spread = ((values - means.unsqueeze(2)).square() * labelled).sum(dim=2) / counts.clamp(min=1)
    pull = (spread * present).sum(dim=1) / people.clamp(min=1)

    distance = means.unsqueeze(1) - means.unsqueeze(2)
    pairs = present.unsqueeze(1) * present.unsqueeze(2)
    similarity = (torch.exp(-distance.square()) * pairs).sum(dim=(1, 2)) - people
    push = 0.5 * similarity / (people * (people - 1)).clamp(min=1)
    return pull.sum() / batch, push.sum() / batch
