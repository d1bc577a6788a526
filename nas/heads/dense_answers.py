"""What the cells of the dense head say, and for whom they are to say it."""

from collections.abc import Callable
from dataclasses import dataclass
from types import EllipsisType

import torch
from torch import Tensor

from nas.codecs.dense import BOX, LARGEST_LOG, PRIOR
from nas.heads.boxes import areas, intersection_over_union
from nas.heads.similarity import object_keypoint_similarity
from nas.heads.simota import Pairs, assignment_cost, reach

Assignment = Callable[[Tensor, Tensor, Tensor], Pairs]
"""From cost, overlaps and whether it is allowed, all [P, A], to cells and people."""


@dataclass(frozen=True)
class Answers:
    """Raw outputs of cells and what they mean.

    Args:
        rows: [..., 5 + 3 K] as `DenseCodec` describes them.
        cells: [..., 3] x, y (px) and stride, broadcast against `rows`.
    """

    rows: Tensor
    cells: Tensor

    def at(self, *index: Tensor | int | EllipsisType) -> "Answers":
        """Those of some images and cells."""
        return Answers(self.rows[index], self.cells[index])

    @property
    def logits(self) -> Tensor:
        """[...] objectness."""
        return self.rows[..., BOX - 1] + PRIOR

    @property
    def boxes(self) -> Tensor:
        """[..., 4] x0, y0, x1, y1 (px)."""
        places, stride = self.cells[..., :2], self.cells[..., 2:]
        middle = self.rows[..., :2] * stride + places
        half = self.rows[..., 2:4].clamp(-LARGEST_LOG, LARGEST_LOG).exp() * stride / 2
        return torch.cat([middle - half, middle + half], dim=-1)

    @property
    def joints(self) -> Tensor:
        """[..., K, 2] px."""
        x, y, _ = self._keypoints
        offsets = torch.stack([x, y], dim=-1)
        return offsets * self.cells[..., 2, None, None] + self.cells[..., None, :2]

    @property
    def confidences(self) -> Tensor:
        """[..., K] logits."""
        return self._keypoints[2]

    @property
    def _keypoints(self) -> tuple[Tensor, ...]:
        return self.rows[..., BOX:].chunk(3, dim=-1)


@torch.no_grad()
def assigned(
    answers: Answers, boxes: Tensor, joints: Tensor, sigmas: Tensor, assign: Assignment
) -> tuple[Tensor, Tensor, Tensor]:
    """Image, cell and person [M] of every cell that is to answer for somebody.

    Args:
        answers: [B, A] of a batch.
        boxes: [B, P, 4] px.
        joints: [B, P, K, 3] x, y (px), 1 where labelled; people without any are absent.
        sigmas: [K] the skeleton's.
        assign: how cells are shared out.
    """
    present = (joints[..., 2] > 0).any(-1)
    found = []
    for image in range(len(boxes)):
        people = present[image].nonzero().squeeze(1)
        cells, owners = _assigned_in(
            answers.at(image), boxes[image, people], joints[image, people], sigmas, assign
        )
        found.append(torch.stack([torch.full_like(cells, image), cells, people[owners]]))
    image_, cell, person = torch.cat(found, dim=1)
    return image_, cell, person


def _assigned_in(
    answers: Answers, boxes: Tensor, joints: Tensor, sigmas: Tensor, assign: Assignment
) -> Pairs:
    allowed, best = reach(answers.cells, boxes)
    candidates = allowed.any(0).nonzero().squeeze(1)
    if not len(candidates):
        return candidates, candidates
    picked, allowed = answers.at(candidates), allowed[:, candidates]
    overlaps = intersection_over_union(picked.boxes, boxes.unsqueeze(1))
    similarities = object_keypoint_similarity(
        picked.joints, joints.unsqueeze(1), areas(boxes).unsqueeze(1), sigmas
    )
    cost = assignment_cost(picked.logits, overlaps, similarities, best[:, candidates])
    cells, owners = assign(cost, overlaps, allowed)
    return candidates[cells], owners
