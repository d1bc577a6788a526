"""One step: gradients of all parts, one average over processes, one update of the weights."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from nas.runs.config import Recipe
from nas.train.feed import BatchPart
from nas.train.gradients import average, clip
from nas.train.plan import StepPlan
from nas.train.rules import Lesson, Rule
from nas.train.schedule import Schedule
from nas.train.state import TrainingState


@dataclass(frozen=True)
class Updater:
    """Takes steps.

    Args:
        state: what a step changes.
        rule: what it learns from.
        recipe: optimizer and clipping.
        schedule: of the learning rate.
        seed: of what is random inside the network.
    """

    state: TrainingState
    rule: Rule
    recipe: Recipe
    schedule: Schedule
    fabric: Fabric
    seed: int

    def step(self, plan: StepPlan, parts: Sequence[BatchPart]) -> dict[str, float]:
        """Learn from one step's parts; returns its losses and the gradient's norm, averaged over processes.

        Where any of them is not finite, the weights stay as they are. Weights that no network of the plan
        uses keep no gradient and do not move.
        """
        state = self.state
        torch.manual_seed(_seed(self.seed, plan.step, self.fabric.global_rank))
        state.optimizer.zero_grad(set_to_none=True)
        parameters = state.parameters()
        means = average(self.fabric, parameters, self._backward(plan, parts))
        norm = clip(parameters, self.recipe.clip_norm)
        heads = [setting.head.type for setting in plan.settings]
        names = [*means, f"gradient_norm/{heads[0] if len(heads) == 1 else 'all'}"]
        values = dict(zip(names, torch.stack([*means.values(), norm]).tolist(), strict=True))
        if all(map(math.isfinite, values.values())):
            for group in state.optimizer.param_groups:
                group["lr"] = self.learning_rate(plan.step)
            state.optimizer.step()
            state.ema.update_parameters(state.net)
        return values

    def learning_rate(self, step: int) -> float:
        """The rate at a step (0-based), lowered by roll-backs."""
        return self.recipe.optimizer.lr * self.state.counters.rate * self.schedule.factor(step)

    def _backward(self, plan: StepPlan, parts: Sequence[BatchPart]) -> dict[str, Tensor]:
        """Add up the gradients of all parts; returns the means of their losses.

        Each part's gradient is summed by itself first, as a process of its own would: rounding is the same.
        """
        share = 1 / len(parts)
        parameters = self.state.parameters()
        before: list[Tensor | None] = [None] * len(parameters)
        losses: dict[str, Tensor] = {}
        for images, targets in parts:
            lesson = Lesson(
                self.state.net,
                plan,
                images,
                targets,
                autocast=self.fabric.autocast,
                backward=lambda loss: self.fabric.backward(share * loss),
            )
            found = self.rule(lesson)
            for name, value in found.items():
                losses[name] = share * value + losses.get(name, torch.zeros_like(value))
            if len(parts) > 1:
                before = _added(parameters, before)
        if len(parts) > 1:
            for parameter, gradient in zip(parameters, before, strict=True):
                parameter.grad = gradient
        return losses


def _added(parameters: Sequence[nn.Parameter], before: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Take the gradients off their parameters and add them to those from before."""
    sums: list[Tensor | None] = []
    for parameter, former in zip(parameters, before, strict=True):
        gradient, parameter.grad = parameter.grad, None
        sums.append(gradient if former is None else former if gradient is None else former.add_(gradient))
    return sums


def _seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> 1)
