"""What one step learns from: the sandwich rule of a supernet, and the plain rule of one network."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from nas.heads import Outputs
from nas.layers import widened
from nas.models import PoseNet
from nas.space import Arch
from nas.train.distillation import as_strong_as_labels, ramped, tempered_distance
from nas.train.plan import StepPlan
from nas.train.weighting import TEACHER, Weighting, fixed_sum

Autocast = Callable[[], AbstractContextManager[object]]
Backward = Callable[[Tensor], None]


@dataclass(frozen=True)
class Lesson:
    """One batch to learn from, as a plan says.

    Args:
        net: gets the gradients.
        plan: names the architectures.
        images: [B, 3, H, W] normalised RGB.
        targets: of each of the plan's heads.
        autocast: wraps forward passes.
        backward: is called with every loss.
    """

    net: PoseNet
    plan: StepPlan
    images: Tensor
    targets: Sequence[Mapping[str, Tensor]]
    autocast: Autocast
    backward: Backward

    def outputs(self, archs: Sequence[Arch]) -> list[Outputs]:
        """What the architectures of one trainee give, in fp32."""
        with self.autocast():
            if len(archs) > 1:
                outputs = self.net.together(self.images, archs)
            else:  # a compiled network is compiled as it is called
                outputs = [self.net(self.images, archs[0])]
        return [_wide(of_one) for of_one in outputs]


Rule = Callable[[Lesson], dict[str, Tensor]]
"""Runs a lesson's `backward` on each loss; gives the losses by name, detached."""


class SandwichRule:
    """The largest body learns from labels; the others from labels and, where it is trained, its outputs.

    Sandwich rule and in-place distillation (Yu & Huang 2019), but with labels kept: the teacher alone costs
    small networks accuracy. Bodies run one after the other, so that memory holds one graph at a time. The
    losses of all heads on a body are added up: each head has the gradient that it has alone.

    Args:
        weight: the teacher's share of the others' loss.
        ramp: steps until it is reached.
        temperature: of distributions that heads compare.
        normalise: whether the distance to the teacher pulls as strongly as the labels' loss.
        weighting: of the loss's terms.
    """

    def __init__(
        self,
        *,
        weight: float,
        ramp: int,
        temperature: float = 1.0,
        normalise: bool = False,
        weighting: Weighting = fixed_sum,
    ) -> None:
        self._weight = weight
        self._ramp = ramp
        self._temperature = temperature
        self._normalise = normalise
        self._weighting = weighting

    def __call__(self, lesson: Lesson) -> dict[str, Tensor]:
        """Losses `HEAD/largest`, `HEAD/smallest`, `HEAD/random` (labels only) and `HEAD/teacher`."""
        plan = lesson.plan
        share = ramped(self._weight, self._ramp, plan.step)
        teachers: list[Outputs] = []
        losses: dict[str, list[Tensor]] = {}
        for trainee in plan.trainees:
            every = lesson.outputs(trainee.archs)
            totals = []
            for place, (arch, outputs) in enumerate(zip(trainee.archs, every, strict=True)):
                head, name = lesson.net.head(arch), arch.head.type
                terms = head.loss(outputs, lesson.targets[place])
                total = self._weighting(name, terms)
                losses.setdefault(f"{name}/{trainee.role}", []).append(fixed_sum(name, terms).detach())
                if teachers and share > 0:
                    distance = tempered_distance(head, outputs, teachers[place], self._temperature)
                    losses.setdefault(f"{name}/teacher", []).append(distance.detach())
                    if self._normalise:
                        distance = as_strong_as_labels(distance, outputs, fixed_sum(name, terms))
                    total = (1 - share) * total + share * self._weighting(name, {TEACHER: distance})
                totals.append(total)
            lesson.backward(sum(totals[1:], start=totals[0]))
            if trainee.role == "largest":
                teachers = [{name: tensor.detach() for name, tensor in o.items()} for o in every]
        return {name: torch.stack(values).mean() for name, values in losses.items()}


class PlainRule:
    """One network learns from labels and, where there is one, from a teacher.

    Args:
        teacher: images -> outputs of the same head.
        weight: the teacher's share of the loss.
        weighting: of the loss's terms.
    """

    def __init__(
        self,
        *,
        teacher: Callable[[Tensor], Outputs] | None = None,
        weight: float = 0.0,
        weighting: Weighting = fixed_sum,
    ) -> None:
        self._teacher = teacher if weight > 0 else None
        self._weight = weight
        self._weighting = weighting

    def __call__(self, lesson: Lesson) -> dict[str, Tensor]:
        """Losses `HEAD/labels` and, with a teacher, `HEAD/teacher`."""
        net, backward = lesson.net, lesson.backward
        (trainee,) = lesson.plan.trainees
        (arch,), (targets,) = trainee.archs, lesson.targets
        (outputs,) = lesson.outputs(trainee.archs)
        head = arch.head.type
        terms = net.head(arch).loss(outputs, targets)
        labels = self._weighting(head, terms)
        losses = {f"{head}/labels": fixed_sum(head, terms).detach()}
        if self._teacher is None:
            backward(labels)
            return losses
        with torch.no_grad(), lesson.autocast():
            known = self._teacher(lesson.images)
        distance = net.head(arch).distill(outputs, _wide(known))
        taught = self._weighting(head, {TEACHER: distance})
        backward((1 - self._weight) * labels + self._weight * taught)
        return losses | {f"{head}/teacher": distance.detach()}


def _wide(outputs: Mapping[str, Tensor]) -> Outputs:
    """Outputs of half precision in fp32, as losses need them."""
    return {name: widened(tensor) for name, tensor in outputs.items()}
