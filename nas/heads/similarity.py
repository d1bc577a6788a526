"""Object keypoint similarity of predictions, differentiable."""

import torch
from torch import Tensor


def object_keypoint_similarity(found: Tensor, joints: Tensor, areas: Tensor, sigmas: Tensor) -> Tensor:
    """Mean over labelled joints of exp(-d^2 / (2 s^2 k^2)), k = 2 sigma: [...], 0 where none is labelled.

    Args:
        found: [..., K, 2] px.
        joints: [..., K, 3] x, y (px), 1 where labelled.
        areas: [...] s^2, px^2; at least 1 is taken.
        sigmas: [K] the skeleton's.
    """
    distance = (found - joints[..., :2]).square().sum(-1)
    scale = 8 * areas.clamp(min=1).unsqueeze(-1) * sigmas.square()
    labelled = joints[..., 2]
    total = (torch.exp(-distance / scale) * labelled).sum(-1)
    return total / labelled.sum(-1).clamp(min=1)
