"""The training step that `gpu.py` measures, on any device: the same networks, weights, images and targets."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from lightning_fabric import Fabric
from training_step import updater

from nas.arrays import Ints
from nas.codecs import People
from nas.codecs.build import codec_of
from nas.models import PoseNet, to_input
from nas.runs.config import Recipe
from nas.space import Arch, SearchSpace, Skeleton
from nas.train.feed import BatchPart
from nas.train.plan import Draw, Planner, SandwichDraw, SingleDraw, StepPlan
from nas.train.rules import PlainRule, Rule, SandwichRule
from nas.train.update import Updater

STEP = 500
"""Number of the step that is taken again and again: its distillation is ramped in."""
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


class Order:
    """Any samples: what they show is made up."""

    def indices(self, start: int, count: int, *, seed: int) -> Ints:
        return np.arange(start, start + count)


@dataclass(frozen=True)
class Bench:
    """What is measured, and on what.

    Args:
        space: narrowed to one resolution.
        device: "cuda" or "cpu".
        batch: images per step; `parity_batch` where two devices are compared.
        steps: timed, of each way.
        random: random networks of a sandwich.
    """

    space: SearchSpace
    skeleton: Skeleton
    device: str
    batch: int
    parity_batch: int
    steps: int
    random: int

    @cached_property
    def plan(self) -> StepPlan:
        """The step of a supernet."""
        return self._planned(SandwichDraw(self.space, random=self.random, pool=None))

    @cached_property
    def single(self) -> StepPlan:
        """The step of one network, the last of that."""
        return self._planned(SingleDraw(self.plan.archs[-1]))

    def _planned(self, draw: Draw) -> StepPlan:
        return Planner(seed=0, order=Order(), batch=self.batch, draw=draw)(STEP)

    def trainer(self, *, device: str, precision: str = "fp32") -> Updater:
        """Takes steps of the supernet. Weights are drawn on the CPU: the same on every device."""
        return self._trainer(self.space, SandwichRule(weight=0.5, ramp=1), device, precision)

    def single_trainer(self) -> Updater:
        """Takes steps of the one network on the device."""
        return self._trainer(self.single.archs[0], PlainRule(), self.device, "fp32")

    def _trainer(self, space: SearchSpace | Arch, rule: Rule, device: str, precision: str) -> Updater:
        torch.manual_seed(0)
        net = PoseNet(space, self.skeleton)
        fabric = Fabric(accelerator=device, devices=1, precision=PRECISIONS[precision])
        return updater(net.to(fabric.device), rule, Recipe(steps=2 * STEP), fabric)

    def part(self, plan: StepPlan, *, device: str, count: int | None = None) -> BatchPart:
        """Noise with made-up people, and their targets, the same on every device."""
        arch, rng = plan.archs[0], np.random.default_rng(0)
        codec = codec_of(arch, self.skeleton)
        count = count or self.batch
        encoded = [
            codec.encode(_people(arch, self.skeleton, rng, task=self.space.task)) for _ in range(count)
        ]
        noise = rng.integers(255, size=(count, *arch.resolution, 3), dtype=np.uint8)
        targets = {
            name: torch.as_tensor(np.stack([target[name] for target in encoded])).to(device)
            for name in encoded[0]
        }
        return BatchPart(to_input(torch.from_numpy(noise), device), [targets])


def _people(arch: Arch, skeleton: Skeleton, rng: np.random.Generator, *, task: str) -> People:
    """One person in a crop, three in an image, all joints visible."""
    height, width = arch.resolution
    count = 1 if task == "crop" else 3
    xy = rng.uniform(0.1, 0.9, (count, len(skeleton), 2)) * (width, height)
    keypoints = np.concatenate([xy, np.full((count, len(skeleton), 1), 2.0)], axis=2)
    boxes = np.concatenate([xy.min(axis=1), xy.max(axis=1)], axis=1)
    return People(keypoints, np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), boxes)
