"""A supernet's training step against those of its networks alone, optimizer and average included.

    python benchmarks/training_step.py ANNOTATIONS.json IMAGES --skeleton crowdpose14 [--pairs 30]

One step of the sandwich (forward and backward of every network, distillation, clipping, one update of
weights and average) is timed against the sum of one plain step of each of the same networks, each with
weights, optimizer and average of its own. Both run on the same images, in turn, in random order within a
pair; the figure is the median of the ratios with a bootstrap interval (95 %).
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from ratios import median_of

from nas.data import KeypointDataset, SampleRequest, load_annotations
from nas.models import PoseNet, to_input
from nas.runs.config import Recipe
from nas.space import Arch, ArchManager, SearchSpace, Skeleton
from nas.space.specs import Task
from nas.timing import describe_device
from nas.train.ema import averaged
from nas.train.feed import BatchPart
from nas.train.optimizer import build_optimizer
from nas.train.plan import Role, StepPlan, Trainee
from nas.train.rules import PlainRule, Rule, SandwichRule
from nas.train.schedule import Schedule
from nas.train.state import TrainingState
from nas.train.update import Updater


def updater(net: PoseNet, rule: Rule, recipe: Recipe, fabric: Fabric) -> Updater:
    """What takes the steps of one network, as in training."""
    net.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    state = TrainingState(
        net=net,
        ema=averaged(net, recipe.ema.decay),
        optimizer=build_optimizer(net.named_parameters(), recipe.optimizer),
        identity={},
    )
    return Updater(
        state=state, rule=rule, recipe=recipe, schedule=Schedule(1000, 0, 1.0, 1.0), fabric=fabric, seed=0
    )


class Steps:
    """The supernet's step and its networks' own, on the same images.

    Args:
        space, skeleton: of the supernet.
        archs: of one setting; the largest and the smallest first.
        part: images and targets.
    """

    def __init__(
        self, space: SearchSpace, skeleton: Skeleton, archs: tuple[Arch, ...], part: BatchPart
    ) -> None:
        recipe = Recipe(steps=1000)
        fabric = Fabric(accelerator="cpu", devices=1)
        self._part = part
        roles: list[Role] = ["largest", "smallest", *["random"] * (len(archs) - 2)]
        trainees = tuple(Trainee(role, (arch,)) for role, arch in zip(roles, archs, strict=True))
        self._plan = StepPlan(step=1000, seed=0, indices=tuple(range(len(part.images))), trainees=trainees)
        sandwich = SandwichRule(weight=0.5, ramp=1)
        self._supernet = updater(PoseNet(space, skeleton), sandwich, recipe, fabric)
        self._plain = [
            (
                updater(PoseNet(arch, skeleton), PlainRule(), recipe, fabric),
                replace(self._plan, trainees=(Trainee("alone", (arch,)),)),
            )
            for arch in archs
        ]

    def supernet(self) -> float:
        """Seconds of one step of the sandwich."""
        return _seconds(lambda: self._supernet.step(self._plan, [self._part]))

    def networks(self) -> float:
        """Seconds of one step of each network alone, added up."""
        return sum(_seconds(lambda u=u, p=p: u.step(p, [self._part])) for u, p in self._plain)

    def ratios(self, pairs: int, rng: np.random.Generator) -> np.ndarray:
        """[pairs] of supernet / networks, after two rounds of warming up."""
        ways = (self.supernet, self.networks)
        found = []
        for pair in range(pairs + 2):
            first = int(rng.integers(2))
            seconds = {first: ways[first]()}
            seconds[1 - first] = ways[1 - first]()
            if pair >= 2:
                found.append(seconds[0] / seconds[1])
        return np.array(found)


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def first_batch(
    annotations: Path, images: Path, skeleton: Skeleton, arch: Arch, *, task: Task, batch: int
) -> BatchPart:
    """Augmentation does not change what a step costs: the first samples as they are."""
    dataset = KeypointDataset([load_annotations(annotations, images, skeleton)], task=task)
    strides = arch.level_strides
    requests = [
        SampleRequest(index, (), arch.resolution, arch.head, strides=strides, augment=False)
        for index in range(batch)
    ]
    made = dataset.batch(requests)
    return BatchPart(to_input(made.images), [made.targets])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--skeleton", default="coco17")
    parser.add_argument("--space", default="person-crop")
    parser.add_argument("--head", default="heatmap")
    parser.add_argument("--resolution", type=int, nargs=2, default=(128, 96), metavar=("H", "W"))
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--random", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rng = np.random.default_rng(0)
    space, skeleton = SearchSpace.load(args.space), Skeleton.load(args.skeleton)
    manager = ArchManager(space)
    where = {"head": args.head, "resolution": tuple(args.resolution)}
    archs = (
        manager.largest(**where),
        manager.smallest(**where),
        *(manager.sample(rng, **where) for _ in range(args.random)),
    )
    part = first_batch(args.annotations, args.images, skeleton, archs[0], task=space.task, batch=args.batch)
    ratios = Steps(space, skeleton, archs, part).ratios(args.pairs, rng)
    result = {
        "date": str(date.today()),
        "machine": describe_device().cpu,
        "torch": torch.__version__,
        **{name: value for name, value in vars(args).items() if name not in ("annotations", "images")},
        "ratio": median_of(ratios),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
