"""The names of the package that the pins use: after a renaming, this file alone changes."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from torch import Tensor

from nas.cli.main import app
from nas.cli.main import run as nas
from nas.data import SampleOrder
from nas.graph.tracer import Tracer
from nas.latency import LatencyPredictor
from nas.models import PoseNet, active_parameters, calibrate, load_weights, read_weights, transfer
from nas.runs import streams
from nas.shipped import shipped_names
from nas.space import Arch, ArchManager, SearchSpace
from nas.train.plan import Planner, SandwichDraw, StepPlan
from nas.train.pool import ArchPool

__all__ = [
    "Arch",
    "LatencyPredictor",
    "PoseNet",
    "Space",
    "active_parameters",
    "calibrate",
    "commands",
    "images",
    "load_weights",
    "macs_and_params",
    "nas",
    "parameter_shapes",
    "planner",
    "predictor",
    "read_weights",
    "space_names",
    "subnet_names",
    "supernet",
    "tracer",
    "transfer",
]


class Space:
    """A space: what it admits, and what draws, varies and encodes its archs."""

    def __init__(self, name: str | Path) -> None:
        self.space = SearchSpace.load(name)
        self.draws = ArchManager(self.space)

    def sample(self, rng: np.random.Generator, **fixed: Any) -> Arch:
        return self.draws.sample(rng, **fixed)

    def mutate(self, arch: Arch, rng: np.random.Generator, *, rate: float) -> Arch:
        return self.draws.mutate(arch, rng, rate=rate)

    def crossover(self, first: Arch, second: Arch, rng: np.random.Generator) -> Arch:
        return self.draws.crossover(first, second, rng)

    def encode(self, arch: Arch) -> dict[str, int]:
        return self.draws.encode(arch)

    def decode(self, indices: dict[str, int]) -> Arch:
        return self.draws.decode(indices)

    def ends(self, **fixed: Any) -> tuple[Arch, Arch]:
        return self.draws.smallest(**fixed), self.draws.largest(**fixed)


def space_names() -> Sequence[str]:
    """All shipped spaces."""
    return sorted(shipped_names("search_spaces", ".yaml"))


def subnet_names() -> Sequence[str]:
    """All shipped subnets."""
    return sorted(shipped_names("subnets", ".json"))


def predictor(path: Path) -> LatencyPredictor:
    """A committed predictor, for whatever machine."""
    return LatencyPredictor.load(path, allow_other_device=True)


@cache
def tracer(space: Space) -> Tracer:
    """arch -> graph."""
    return Tracer(space.space, "coco17")


def macs_and_params(space: Space) -> Callable[[Arch], tuple[int, int]]:
    """What networks of a space cost."""
    trace = tracer(space)

    def cost(arch: Arch) -> tuple[int, int]:
        graph = trace(arch)
        return graph.macs, graph.params

    return cost


def planner(space: Space, *, seed: int, pooled: bool) -> Callable[[int], StepPlan]:
    """What every step of a training of that seed draws; pooled networks are fair in MACs."""
    pool = None
    if pooled:
        cost = macs_and_params(space)
        pool = ArchPool.draw(
            space.space,
            streams.generator(seed, streams.POOL),
            size=60,
            bins=4,
            costs=lambda archs: [float(cost(arch)[0]) for arch in archs],
        )
    draw = SandwichDraw(space.space, random=2, pool=pool)
    return Planner(seed=seed, order=SampleOrder([50, 20], [1.0, 0.5]), batch=8, draw=draw, late_from=6)


def supernet(path: Path) -> PoseNet:
    """The supernet of a space, all of whose weights are small whole numbers.

    Sums of their products are exact in whatever order, so that what is sliced, transformed or resampled is
    the same on every machine.
    """
    net = PoseNet(SearchSpace.load(path), "coco17").eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for _, parameter in sorted(net.named_parameters()):
            parameter.copy_(torch.from_numpy(rng.integers(-2, 3, tuple(parameter.shape)).astype(np.float32)))
    return net


def parameter_shapes(name: str) -> dict[str, list[int]]:
    """What a weights file of a shipped space's supernet holds."""
    with torch.device("meta"):
        net = PoseNet(SearchSpace.load(name), "coco17")
    return {key: list(value.shape) for key, value in net.state_dict().items()}


def images(arch: Arch, *, count: int = 2) -> Tensor:
    """Seeded images of an arch's resolution."""
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.standard_normal((count, 3, *arch.resolution)).astype(np.float32))


def commands() -> dict[str, list[str]]:
    """Every command with its flags."""
    found: dict[str, list[str]] = {}

    def walk(command: Any, name: str) -> None:
        if hasattr(command, "commands"):
            for child in sorted(command.commands):
                walk(command.commands[child], f"{name} {child}")
        else:
            flags = (flag for option in command.params for flag in (*option.opts, *option.secondary_opts))
            found[name] = sorted(flag for flag in flags if flag.startswith("-"))

    walk(typer.main.get_command(app), "nas")
    return found
