"""Boxes [..., 4] x0, y0, x1, y1 (px): overlap, and how far one is from another."""

import math

import torch
from torch import Tensor

TINY = 1e-7


def areas(boxes: Tensor) -> Tensor:
    """Areas [...] of boxes [..., 4], px^2."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def intersection_and_union(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Areas of intersection and union of boxes [..., 4] that broadcast, px^2."""
    # One coordinate at a time: onnxruntime is slow on a last axis of two (100 boxes: 0.27 ms against 0.07).
    left, top, right, bottom = (boxes[..., side] for side in range(4))
    others_left, others_top, others_right, others_bottom = (others[..., side] for side in range(4))
    width = (torch.minimum(right, others_right) - torch.maximum(left, others_left)).clamp(min=0)
    height = (torch.minimum(bottom, others_bottom) - torch.maximum(top, others_top)).clamp(min=0)
    shared = width * height
    return shared, areas(boxes) + areas(others) - shared


def intersection_over_union(boxes: Tensor, others: Tensor) -> Tensor:
    """Of boxes [..., 4] that broadcast; 0 where both are empty."""
    shared, union = intersection_and_union(boxes, others)
    return shared / union.clamp(min=TINY)


def complete_overlap_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """CIoU loss [...] (Zheng et al., AAAI 2020) of boxes [..., 4]: 0 for equal boxes, less than 3.

    1 - IoU, plus the middles' squared distance relative to the diagonal around both, plus the weighted
    difference in aspect, whose weight carries no gradient.
    """
    overlap = intersection_over_union(boxes, targets)
    low = torch.minimum(boxes[..., :2], targets[..., :2])
    high = torch.maximum(boxes[..., 2:], targets[..., 2:])
    diagonal = (high - low).square().sum(-1).clamp(min=TINY)
    middles = boxes[..., :2] + boxes[..., 2:] - targets[..., :2] - targets[..., 2:]
    distance = middles.square().sum(-1) / 4 / diagonal
    aspect = (4 / math.pi**2) * (_angle(boxes) - _angle(targets)).square()
    with torch.no_grad():
        weight = aspect / (1 - overlap + aspect).clamp(min=TINY)
    return 1 - overlap + distance + weight * aspect


def _angle(boxes: Tensor) -> Tensor:
    width, height = (boxes[..., 2:] - boxes[..., :2]).unbind(-1)
    return torch.atan2(width, height.clamp(min=TINY))
