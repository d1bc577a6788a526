"""How near predicted keypoints are to the true ones, differentiable."""

import torch
import torch.nn.functional as F
from torch import Tensor


def keypoint_similarity(found: Tensor, truth: Tensor, areas: Tensor, sigmas: Tensor) -> Tensor:
    """exp(-d^2 / (2 s^2 k^2)), k = 2 sigma, of every joint: [..., K].

    Args:
        found, truth: [..., K, 2] px.
        areas: [...] s^2, px^2; at least 1 is taken.
        sigmas: [K] the skeleton's.
    """
    distance = (found - truth).square().sum(-1)
    return torch.exp(-distance / (8 * areas.clamp(min=1).unsqueeze(-1) * sigmas.square()))


def object_keypoint_similarity(found: Tensor, joints: Tensor, areas: Tensor, sigmas: Tensor) -> Tensor:
    """Mean of `keypoint_similarity` over labelled joints: [...], 0 where none is labelled.

    Args:
        found: [..., K, 2] px.
        joints: [..., K, 3] x, y (px), 1 where labelled.
        areas: [...] s^2, px^2.
        sigmas: [K] the skeleton's.
    """
    labelled = joints[..., 2]
    total = (keypoint_similarity(found, joints[..., :2], areas, sigmas) * labelled).sum(-1)
    return total / labelled.sum(-1).clamp(min=1)


def relative_distance(found: Tensor, joints: Tensor, areas: Tensor) -> Tensor:
    """Mean over labelled joints of the distance along x and y relative to the person's size: [...].

    Smooth L1, quadratic below a tenth of the size. Where a joint is further off than a few of its sigmas the
    similarity has no gradient left; this has.

    Args:
        found: [..., K, 2] px.
        joints: [..., K, 3] x, y (px), 1 where labelled.
        areas: [...] the squared size, px^2; at least 1 is taken.
    """
    size = areas.clamp(min=1).sqrt()[..., None, None]
    distance = F.smooth_l1_loss(found / size, joints[..., :2] / size, reduction="none", beta=0.1).sum(-1)
    labelled = joints[..., 2]
    return (distance * labelled).sum(-1) / labelled.sum(-1).clamp(min=1)
