"""How far a student is from its teacher, and how much that counts beside the labels."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nas.errors import UserError
from nas.heads import Outputs, PoseHead
from nas.models import PoseNet
from nas.train.weighting import fixed_sum

MOST_SCALED = 100.0
"""A distance is enlarged by no more: near its teacher a student would follow mere noise."""


def ramped(weight: float, ramp: int, step: int) -> float:
    """The teacher's share at a step: linear from 0, full after `ramp` steps."""
    return weight * min(1.0, step / ramp) if ramp else weight


def tempered_distance(head: PoseHead, student: Outputs, teacher: Outputs, temperature: float) -> Tensor:
    """A head's `distill` of distributions at a temperature, times its square (Hinton et al. 2015).

    The gradient stays of one size that way. Heads that compare no distributions have no temperature.
    """
    if temperature == 1 or not head.distributions:
        return head.distill(student, teacher)

    def softened(outputs: Outputs) -> Outputs:
        return outputs | {name: outputs[name] / temperature for name in head.distributions}

    return temperature**2 * head.distill(softened(student), softened(teacher))


def as_large_as_labels(head: PoseHead, distance: Tensor, terms: Mapping[str, Tensor]) -> Tensor:
    """A distance scaled to the size of the labels' loss, by a factor that has no gradient.

    Likelihoods have no size: beside them, and where nothing is labelled, the distance stays as it is.

    Args:
        terms: of the labels' loss.
    """
    if head.likelihoods & terms.keys():
        return distance
    labels = fixed_sum("", terms).detach()
    factor = labels / torch.maximum(distance.detach(), labels / MOST_SCALED)
    return torch.where(labels > 0, factor, 1.0) * distance


def require_distributions(net: PoseNet, temperature: float) -> None:
    """Raises UserError for a temperature that no head of a network has a use for."""
    heads = [module for module in net.modules() if isinstance(module, PoseHead)]
    if temperature != 1 and not any(head.distributions for head in heads):
        raise UserError(
            f"distillation.temperature: no head of space {net.space.name!r} compares distributions; "
            "leave it out"
        )
