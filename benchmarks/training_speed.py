"""Training steps, calibration and scoring with what makes them fast, against the same without.

    python benchmarks/training_speed.py ANNOTATIONS.json IMAGES [--rounds 15] [--threads 1] [--task sandwich]
    python benchmarks/training_speed.py ANNOTATIONS.json IMAGES --task evaluation --run RUN

Without: torch's depthwise convolutions and batch norms, glibc's allocator as it starts, statistics computed
beside the batch norm, threads that sleep as soon as they wait. With: compiled loops, memory that is kept,
statistics taken from the batch norm, threads that wait for a moment first. Each way runs in a process of its
own; the two take turns, in random order within a round. The figure is the median of the ratios with a
bootstrap interval (95 %), and the shortest time of each.

Tasks: `sandwich`, the step of a supernet (largest, smallest, one random network, update of weights and
average), `network`, that of the largest network alone, `calibration`, the statistics of the largest network,
`evaluation`, that of one random network by a search in the folder of a trained supernet: calibration and
scoring on all images that the run keeps for them; how far the AP of both ways lie apart is told as well.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import date
from itertools import product
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from ratios import median_of
from torch import Tensor
from training_step import first_batch, updater

from nas.layers import Context, ElasticBatchNorm2d, use_loops
from nas.models import PoseNet
from nas.models.calibrate import moments
from nas.openmp import SPINS
from nas.runs.config import Recipe
from nas.runs.data import open_data
from nas.runs.folder import RunFolder
from nas.runs.supernet import load_supernet, open_calibration
from nas.search.evaluator import SubnetEvaluator
from nas.space import ArchManager, SearchSpace, Skeleton
from nas.timing import describe_device
from nas.train.compiled import COMPILED, TORCH, choose_loops
from nas.train.launch import keep_memory
from nas.train.plan import Role, StepPlan, Trainee
from nas.train.rules import PlainRule, SandwichRule

WAYS = ("without", "with")
_OF_RUN = ("resolution",)
_TOLD = ("space", "skeleton", "head", "resolution", "batch")


def serve(pipe: Connection, settings: dict[str, Any], way: str) -> None:
    """Answer every request by the seconds of one step."""
    torch.set_num_threads(settings["threads"])
    if way == "with":
        keep_memory()
    step = prepare(settings, fast=way == "with")
    while pipe.recv():
        start = time.perf_counter()
        outcome = step()
        pipe.send((time.perf_counter() - start, outcome if isinstance(outcome, float) else 0.0))


def prepare(settings: dict[str, Any], *, fast: bool) -> Callable[[], object]:
    if settings["task"] == "evaluation":
        return prepare_evaluation(RunFolder.open(settings["run"]), tuple(settings["resolution"]), fast=fast)
    space = SearchSpace.load(settings["space"])
    manager = ArchManager(space)
    where = {"head": settings["head"], "resolution": tuple(settings["resolution"])}
    random = manager.sample(np.random.default_rng(0), **where)
    archs = (manager.largest(**where), manager.smallest(**where), random)
    part = first_batch(
        settings["annotations"],
        settings["images"],
        Skeleton.load(settings["skeleton"]),
        archs[0],
        task=space.task,
        batch=settings["batch"],
    )
    if settings["task"] == "calibration":
        net = PoseNet(space, settings["skeleton"]).to(memory_format=torch.channels_last).train()
        use_loops(net, fast)
        if not fast:
            compute_statistics_twice(net)
        return lambda: moments(net, archs[0], part.images)
    fabric = Fabric(accelerator="cpu", devices=1)
    if settings["task"] == "network":
        archs = archs[:1]
        steps = updater(PoseNet(archs[0], settings["skeleton"]), PlainRule(), Recipe(steps=1000), fabric)
    else:
        rule = SandwichRule(weight=0.5, ramp=1)
        steps = updater(PoseNet(space, settings["skeleton"]), rule, Recipe(steps=1000), fabric)
    choose_loops(steps.state.net, fabric, former=COMPILED if fast else TORCH)
    roles: list[Role] = ["alone"] if len(archs) == 1 else ["largest", "smallest", "random"]
    trainees = tuple(Trainee(role, (arch,)) for role, arch in zip(roles, archs, strict=True))
    plan = StepPlan(step=1000, seed=0, indices=tuple(range(len(part.images))), trainees=trainees)
    return lambda: steps.step(plan, [part])


def prepare_evaluation(run: RunFolder, resolution: tuple[int, int], *, fast: bool) -> Callable[[], float]:
    config, net = run.config(), load_supernet(run)
    space = config.load_space()
    data = open_data(config, space, run)
    evaluator = SubnetEvaluator(net, open_calibration(run, data), data.search, key="")
    if not fast:
        use_loops(net, False)
        compute_statistics_twice(net)
    arch = ArchManager(space).sample(np.random.default_rng(0), resolution=resolution)
    return lambda: float(evaluator(arch)["AP"])


def compute_statistics_twice(net: PoseNet) -> None:
    """Beside the batch norm, where a network is calibrated."""

    def twice(_: object, args: tuple[Tensor, Context]) -> None:
        if args[1].observe is not None:
            torch.var_mean(args[0], dim=(0, 2, 3))

    for module in net.modules():
        if isinstance(module, ElasticBatchNorm2d):
            module.register_forward_pre_hook(twice)


def compare(settings: dict[str, Any], *, rounds: int) -> dict[str, Any]:
    """Seconds of both ways, and the median of without / with."""
    context, rng = get_context("spawn"), np.random.default_rng(0)
    pipes, processes = {}, []
    for way in WAYS:
        os.environ.update(OMP_WAIT_POLICY="PASSIVE", GOMP_SPINCOUNT=SPINS if way == "with" else "0")
        pipes[way], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(theirs, settings, way), daemon=True))
        processes[-1].start()
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    outcomes: dict[str, float] = {}
    for _ in range(rounds + 2):
        for way in rng.permutation(WAYS):
            pipes[way].send(True)
            seconds, outcomes[way] = pipes[way].recv()
            times[way].append(seconds)
    for pipe in pipes.values():
        pipe.send(False)
    for process in processes:
        process.join()
    ratios = np.divide(times["without"], times["with"])[2:]
    shortest = {way: round(1000 * min(seconds[2:]), 1) for way, seconds in times.items()}
    apart = abs(outcomes["with"] - outcomes["without"])
    return {
        **({"AP": outcomes["with"], "AP apart": apart} if settings["task"] == "evaluation" else {}),
        "times as fast": median_of(ratios),
        "shortest ms": shortest,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--space", default="person-crop")
    parser.add_argument("--skeleton", default="crowdpose14")
    parser.add_argument("--head", default="heatmap")
    parser.add_argument("--resolution", type=int, nargs=2, default=(128, 96), metavar=("H", "W"))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--run", type=Path, help="folder of a trained supernet, for `evaluation`")
    parser.add_argument("--task", nargs="+", default=["sandwich", "network", "calibration"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    given = {name: value for name, value in vars(args).items() if name not in ("rounds", "task", "threads")}
    results = []
    for task, threads in product(args.task, args.threads):
        found = compare({**given, "task": task, "threads": threads}, rounds=args.rounds)
        results.append({"task": task, "threads": threads, **found})
        print(results[-1], file=sys.stderr, flush=True)
    result = {
        "date": str(date.today()),
        "machine": describe_device().cpu,
        "torch": torch.__version__,
        "rounds": args.rounds,
        # A search's evaluation takes all else from its run.
        **{name: value for name, value in given.items() if name in (_OF_RUN if args.run else _TOLD)},
        "results": results,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
