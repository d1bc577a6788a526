"""Which cells answer for which person.

One to many: SimOTA (YOLOX, Ge et al. 2021). One to one: the Hungarian algorithm (DETR, Carion et al. 2020).
"""

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

CENTRE_RADIUS = 2.5
"""Strides around a box's middle within which a cell may answer even where it is outside of the box."""

ANSWERS_FROM = 10
"""The best overlaps whose sum says how many cells answer for a person."""

OVERLAP_WEIGHT = KEYPOINT_WEIGHT = 3.0
OUTSIDE = 1e5
"""Cost of a cell that is not both in the box and near its middle: taken only where others are missing."""

IMPOSSIBLE = 1e9
FLOOR = 1e-7

Pairs = tuple[Tensor, Tensor]
"""Indices [M] of cells and of the people whom they answer for."""


def reach(cells: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Which cells may answer for whom, and which of them are in the box and near its middle: both [P, A].

    Args:
        cells: [A, 3] x, y (px), stride.
        boxes: [P, 4] x0, y0, x1, y1 (px).
    """
    x, y, stride = cells.unbind(1)
    x0, y0, x1, y1 = boxes.unsqueeze(2).unbind(1)
    within = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    radius = CENTRE_RADIUS * stride
    near = ((x - (x0 + x1) / 2).abs() <= radius) & ((y - (y0 + y1) / 2).abs() <= radius)
    return within | near, within & near


def assignment_cost(logits: Tensor, overlaps: Tensor, similarities: Tensor, best: Tensor) -> Tensor:
    """Cost [P, A] of every pair: the less sure of itself a cell is and the worse its box and keypoints.

    Args:
        logits: [A] objectness.
        overlaps: [P, A] intersection over union of boxes.
        similarities: [P, A] of keypoints (OKS).
        best: [P, A] True for cells in the box and near its middle.
    """
    cost = (
        F.softplus(-logits)
        - OVERLAP_WEIGHT * overlaps.clamp(min=FLOOR).log()
        - KEYPOINT_WEIGHT * similarities.clamp(min=FLOOR).log()
        + OUTSIDE * ~best
    )
    return torch.nan_to_num(cost, nan=IMPOSSIBLE, posinf=IMPOSSIBLE)


def one_to_many(cost: Tensor, overlaps: Tensor, allowed: Tensor) -> Pairs:
    """The cheapest cells for each person, as many as the overlaps of the ten best boxes add up to.

    A cell that several people want answers for the one whom it costs least.

    Args:
        cost, overlaps: [P, A].
        allowed: [P, A] True where a cell may answer for a person.
    """
    cost = torch.where(allowed, cost, IMPOSSIBLE)
    overlaps = torch.nan_to_num(overlaps) * allowed
    answers = overlaps.topk(min(ANSWERS_FROM, overlaps.shape[1]), dim=1).values.sum(1).long().clamp(min=1)
    # Stable: the choice among equal costs may not depend on the device or the number of threads.
    order = cost.argsort(dim=1, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    wanted = (rank < answers.unsqueeze(1)) & allowed
    owner = torch.where(wanted, cost, float("inf")).argmin(0)
    cells = wanted.any(0).nonzero().squeeze(1)
    return cells, owner[cells]


def one_to_one(cost: Tensor, overlaps: Tensor, allowed: Tensor) -> Pairs:
    """One cell for each person, all different, at the least cost in sum (Hungarian algorithm).

    Args:
        cost, overlaps: [P, A]; the overlaps do not matter.
        allowed: [P, A] True where a cell may answer for a person.
    """
    rows, columns = linear_sum_assignment(torch.where(allowed, cost, IMPOSSIBLE).cpu().numpy())
    people, cells = (torch.from_numpy(part).to(cost.device) for part in (rows, columns))
    possible = allowed[people, cells]
    return cells[possible], people[possible]
