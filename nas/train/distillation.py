"""How far a student is from its teacher, and how much that counts beside the labels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nas.errors import UserError
from nas.heads import Outputs, PoseHead
from nas.models import PoseNet

MOST_SCALED = 10.0
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


def as_strong_as_labels(distance: Tensor, outputs: Outputs, labels: Tensor) -> Tensor:
    """A distance scaled so that it pulls at a student's outputs as strongly as the labels' loss does.

    What counts is the length of both gradients, not of both losses: labels leave a loss that nothing can take
    away, and a distance as large as that would pull many times as strongly. The factor has no gradient; where
    nothing is labelled it is 1.

    Args:
        distance, labels: of the outputs.
    """
    pulled = [output for output in outputs.values() if output.requires_grad]
    ours, theirs = (_pull(loss, pulled) for loss in (distance, labels))
    factor = theirs / torch.maximum(ours, theirs / MOST_SCALED)
    return torch.where(theirs > 0, factor, 1.0) * distance


def _pull(loss: Tensor, outputs: Sequence[Tensor]) -> Tensor:
    """How long a loss's gradient on the outputs is."""
    found = torch.autograd.grad(loss, outputs, retain_graph=True, allow_unused=True)
    lengths = [gradient.norm() for gradient in found if gradient is not None]
    length: Tensor = torch.stack([loss.new_zeros(()), *lengths]).norm()
    return length


def require_distributions(net: PoseNet, temperature: float) -> None:
    """Raises UserError for a temperature that no head of a network has a use for."""
    heads = [module for module in net.modules() if isinstance(module, PoseHead)]
    if temperature != 1 and not any(head.distributions for head in heads):
        raise UserError(
            f"distillation.temperature: no head of space {net.space.name!r} compares distributions; "
            "leave it out"
        )
