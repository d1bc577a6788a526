"""The stages of the demo. Each leaves files behind and does nothing where they are there already."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.data import Annotations, load_annotations
from nas.demo.people import generate
from nas.demo.scale import DemoScale
from nas.demo.summary import FinishedSubnet, count_drawn, summarise, write_sheet
from nas.evaluate import mean_pose_baseline, validate
from nas.files import write_json
from nas.graph import Tracer, export_onnx
from nas.latency import LatencyPredictor, measure_space
from nas.models import load_weights
from nas.progress import duration
from nas.runs import RunFolder, load_config, load_finetune_config
from nas.runs.config import SupernetConfig
from nas.runs.override import assignment
from nas.runtime import OnnxModel
from nas.search.budgets import cheapest
from nas.search.results import SearchResult, Subnet
from nas.search.run import Displays, SearchSettings, predicted_cost, search_run
from nas.search.values import Cost
from nas.space import ArchManager, SearchSpace, Skeleton
from nas.timing import LatencyTable, Protocol
from nas.train import finetune_subnet, train_supernet

_TRAIN_SEED, _VAL_SEED = 1, 2
_BUDGET_SHARES = (0.5, 0.9)
_STAGES = 7


@dataclass(frozen=True)
class DemoDisplays:
    """How the stages tell their progress.

    Args:
        generating: given a title, told after every piece how many pictures are done, and of how many.
        search: of the search, and of all measuring.
    """

    generating: Callable[[str], Callable[[int, int], None]] = lambda _: lambda _done, _total: None
    search: Displays = field(default_factory=Displays)


class _Demo:
    """What the stages share, and their announcements."""

    def __init__(
        self, folder: Path, scale: DemoScale, *, console: Console, displays: DemoDisplays, threads: int
    ) -> None:
        self.run = RunFolder(folder)
        self.people = folder / "people"
        self.scale = scale
        self.console = console
        self.displays = displays
        self.threads = threads
        self._stage = 0

    def announce(self, title: str, *explanation: str) -> None:
        """Say what the next stage does."""
        self._stage += 1
        self.console.print(f"\n{self._stage}/{_STAGES}  {title}", style="bold", markup=False)
        self.tell(*explanation)

    def tell(self, *lines: str) -> None:
        """Print what a stage says."""
        self.console.print(*lines, markup=False)


def run_demo(
    folder: Path,
    scale: DemoScale,
    *,
    console: Console,
    displays: DemoDisplays | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Run whatever stages are missing; the summary, which also lies in `folder/summary.json`.

    Args:
        folder: the run folder.
        scale: how much of everything.
        console: where the stages are announced.
        displays: how the stages tell their progress.
        threads: for training and generating; None for all cores.

    Raises:
        UserError: the folder holds another run.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    started = time.monotonic()
    demo = _Demo(
        folder,
        scale,
        console=console,
        displays=displays or DemoDisplays(),
        threads=threads or _cores(),
    )
    demo.tell(
        f"The whole pipeline on generated people: about {scale.minutes} minutes on two cores.",
        "Ctrl-C stops it at any time; the same command goes on where it was.",
    )
    train, val = _generate(demo)
    config = _config(demo)
    budgets = _measure(demo, config)
    _train(demo, config)
    result = _search(demo, budgets)
    weights = _fine_tune(demo, result.subnets)
    subnets = _export(demo, result.subnets, weights, val)
    summary = _summarise(demo, result, subnets, train=train, val=val)
    demo.tell(f"\nDone in {duration(time.monotonic() - started)}.")
    return summary


def _config(demo: _Demo) -> SupernetConfig:
    overrides = (
        assignment("data.root", demo.people),
        assignment("sampling.predictor", demo.run.predictor_file),
        f"threads={demo.threads}",
    )
    return load_config("demo", [*overrides, *demo.scale.overrides])


def _generate(demo: _Demo) -> tuple[Annotations, Annotations]:
    scale = demo.scale
    demo.announce(
        "Generate people",
        f"{scale.train_images} pictures to train on and {scale.val_images} others to validate on.",
    )
    skeleton = Skeleton.load("coco17")
    sets = []
    plan = (("train", scale.train_images, _TRAIN_SEED), ("val", scale.val_images, _VAL_SEED))
    for name, images, seed in plan:
        folder = demo.people / name
        progress = demo.displays.generating(name)
        file = generate(
            folder,
            images=images,
            seed=seed,
            people_per_image=(1, 2),
            workers=demo.threads,
            progress=progress,
        )
        sets.append(load_annotations(file, folder / "images", skeleton))
        demo.tell(f"{name}: {int(sets[-1].people.labelled.sum()):,} people in {folder}")
    return sets[0], sets[1]


def _measure(demo: _Demo, config: SupernetConfig) -> list[float]:
    """Time networks, fit the predictor, and choose the budgets."""
    demo.announce(
        "Measure times, fit the predictor",
        f"{demo.scale.timed} networks of the search space are timed in onnxruntime on one core;",
        "from their operators follows the time of any other.",
    )
    space, skeleton = config.load_space(), Skeleton.load(config.skeleton)
    file = demo.run.predictor_file
    if not file.is_file():
        table = demo.run.table_file
        with demo.displays.search.timing() as progress:
            measure_space(
                space,
                skeleton,
                samples=demo.scale.timed,
                table=table,
                protocol=Protocol(visits=demo.scale.visits),
                progress=progress,
            )
        LatencyPredictor.fit(LatencyTable.read(table)).save(file)
    predictor = LatencyPredictor.load(file)
    error = predictor.validation.held_out.mape
    demo.tell(f"On networks left out of the fit, the predictor is off by {error:.1%} on average.")
    return _budgets(demo, space, predicted_cost(predictor, Tracer(space, skeleton, anonymous=True)))


def _budgets(demo: _Demo, space: SearchSpace, cost: Cost) -> list[float]:
    """Two budgets that mean something on any machine: between the cheapest and the most expensive network."""
    least = cost(cheapest(space, cost))
    most = max(cost(ArchManager(space).largest(head=head)) for head in space.heads)
    budgets = [float(f"{least * (most / least) ** share:.2g}") for share in _BUDGET_SHARES]
    demo.tell(
        f"Networks of the space take {least:.2f} to {most:.2f} ms on this machine.",
        f"The budgets of the search: {budgets[0]:g} ms and {budgets[1]:g} ms.",
    )
    return budgets


def _train(demo: _Demo, config: SupernetConfig) -> None:
    demo.announce(
        "Train the supernet",
        "One network that holds every network of the search space as a part of itself.",
        "Each step trains the largest, the smallest and a random one.",
    )
    train_supernet(config, demo.run.path, console=demo.console)


def _search(demo: _Demo, budgets: Sequence[float]) -> SearchResult:
    demo.announce(
        "Search",
        f"{demo.scale.trials} networks that are predicted to fit a budget are scored with inherited weights,",
        "on pictures kept apart from training. The best are really measured.",
    )
    settings = SearchSettings(budgets_ms=budgets, trials=demo.scale.trials)
    return search_run(demo.run, settings, progress=demo.displays.search)


def _fine_tune(demo: _Demo, subnets: Sequence[Subnet]) -> dict[str, Path]:
    """The weights of each subnet, by its name; a network that won both budgets is trained once."""
    demo.announce(
        "Transfer and fine-tune",
        "Each subnet becomes a network of its own, with the supernet's weights, and is trained on.",
    )
    recipe = load_finetune_config(demo.run.path)
    by_arch: dict[str, Path] = {}
    for subnet in subnets:
        if subnet.arch.id not in by_arch:
            by_arch[subnet.arch.id] = finetune_subnet(
                demo.run.path, subnet.arch, recipe=recipe, name=subnet.name, console=demo.console
            )
    return {subnet.name: by_arch[subnet.arch.id] for subnet in subnets}


def _export(
    demo: _Demo, subnets: Sequence[Subnet], weights: Mapping[str, Path], val: Annotations
) -> list[FinishedSubnet]:
    demo.announce(
        "Export and validate",
        "The networks become ONNX files, decoding included, and these files are validated",
        f"on {len(val.images)} pictures that nothing has seen so far.",
    )
    finished = []
    for subnet in subnets:
        path = weights[subnet.name].with_suffix(".onnx")
        export_onnx(load_weights(weights[subnet.name]), path)
        result = validate(OnnxModel(path, threads=demo.threads), val)
        drawn = count_drawn(result.detections, val)
        finished.append(FinishedSubnet(subnet, path, result, drawn))
        demo.tell(f"{path}: AP {finished[-1].result['AP']:.3f}")
    return finished


def _summarise(
    demo: _Demo,
    result: SearchResult,
    subnets: Sequence[FinishedSubnet],
    *,
    train: Annotations,
    val: Annotations,
) -> dict[str, Any]:
    demo.announce(
        "Compare and draw",
        "How far does one get without looking? Everyone gets the average training pose in their box.",
    )
    baseline = mean_pose_baseline(train, val)
    demo.tell(f"The average pose: AP {baseline['AP']:.3f}, AP50 {baseline['AP50']:.3f}")
    if subnets:
        best = max(subnets, key=lambda subnet: subnet.result["AP"])
        write_sheet(demo.run.path / "validation_people.png", best, val)
    summary = summarise(result, subnets, baseline, threads=demo.threads)
    write_json(demo.run.summary_file, summary)
    return summary


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
