"""Recipes of supernet training at equal core-time: what networks inherit from each.

    python benchmarks/supernet_recipes.py benchmarks/recipes.yaml FOLDER --root DATA --minutes 40 --only NAME
    python benchmarks/supernet_recipes.py benchmarks/recipes.yaml FOLDER --root DATA --table

The file names recipes as changes to a shipped one. Each trains on one thread, its loader included, for as
many steps as fit into the minutes of CPU time (some steps are timed first), goes on where it was stopped, and
is scored on its validation set: PCK of twelve networks spread evenly over predicted ms, of the smallest and
of the largest, all with inherited weights. Several may run at once, one to a core. `--table` writes a table
and a plot of all that is scored.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from nas.documents import read_json, read_yaml
from nas.files import write_json, write_text
from nas.graph import Tracer
from nas.latency import LatencyPredictor
from nas.runs import load_config, read_metrics
from nas.runs.config import SupernetConfig
from nas.runs.data import open_data
from nas.runs.folder import RunFolder
from nas.runs.metrics import PLACE_OF_RANDOM
from nas.runs.supernet import load_supernet, open_calibration
from nas.search.evaluator import SubnetEvaluator
from nas.space import Arch, ArchManager, SearchSpace
from nas.train import train_supernet
from nas.train.update import Updater

METRIC = "PCK_torso@0.2"
PROBE = range(15, 60)
"""Steps that are timed."""

_COLOURS = mpl.color_sequences["tab20"][::2] + mpl.color_sequences["tab20"][1::2]
_DASHES = ("-", "--", ":")


class _Enough(Exception):  # noqa: N818
    """All steps of a probe have been timed."""


def recipe(given: Mapping[str, Any], name: str, seed: int, root: Path, *steps: str) -> SupernetConfig:
    """One of the file's recipes, on one thread; `steps` as an override where its length is known."""
    changes = [
        f"data.root={root}", "threads=1", "data.workers=0", f"seed={seed}", "validation.every=null",
        *given["common"], *given["recipes"][name], *steps,
    ]  # fmt: skip
    return load_config(given["base"], changes)


@contextmanager
def probing(times: list[float]) -> Iterator[None]:
    """Within, a training notes the CPU time at the start of every step, and ends after the probe."""
    original = Updater.step

    def step(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        times.append(time.process_time())
        if len(times) > PROBE.stop:
            raise _Enough
        return original(self, plan, parts)

    Updater.step = step  # type: ignore[method-assign]
    try:
        yield
    except _Enough:
        pass
    finally:
        Updater.step = original  # type: ignore[method-assign]


def seconds_per_step(given: Mapping[str, Any], name: str, seed: int, root: Path) -> float:
    """CPU time of a recipe's mean step: those on the largest network alone, at first, are shorter."""
    config = recipe(given, name, seed, root, "steps=100000")
    alone = config.sandwich.largest_first
    rest = _seconds(recipe(given, name, seed, root, "steps=100000", "sandwich.largest_first=0"))
    return alone * _seconds(config) + (1 - alone) * rest if alone else rest


def _seconds(config: SupernetConfig) -> float:
    """CPU time of a step, of those that are timed."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder, probing(times):
        train_supernet(config, Path(folder) / "probe")
    return (times[PROBE.stop] - times[PROBE.start]) / len(PROBE)


def twelve(space: SearchSpace, skeleton: str, predictor: Path) -> dict[str, Arch]:
    """Networks by name: twelve evenly spread over the logarithm of predicted ms, and both ends."""
    manager, rng = ArchManager(space), np.random.default_rng(7)
    drawn = [manager.sample(rng) for _ in range(600)]
    model = LatencyPredictor.load(predictor, allow_other_device=True)
    ms = np.log(model.predict_ms(drawn, tracer=Tracer(space, skeleton)))
    targets = np.linspace(*np.quantile(ms, [0.02, 0.98]), 12)
    chosen = {f"{np.exp(ms[i]):.2f} ms": drawn[i] for i in (int(np.abs(ms - t).argmin()) for t in targets)}
    return {"smallest": manager.smallest(), **chosen, "largest": manager.largest()}


def score(run: RunFolder, archs: Mapping[str, Arch], images: int) -> dict[str, float]:
    supernet, config = load_supernet(run), run.config()
    data = open_data(config, supernet.space, run)
    validated = [data.validation[0].first(images)]
    evaluator = SubnetEvaluator(supernet, open_calibration(run, data), validated, key="")
    return {name: evaluator(arch)[METRIC] for name, arch in archs.items()}


def places(run: RunFolder) -> dict[str, float]:
    """`place_of_random` of every head, as the run's last lines tell it."""
    told = {name: value for line in read_metrics(run.metrics_file) for name, value in line.items()}
    return {
        name.removeprefix(PLACE_OF_RANDOM): value
        for name, value in told.items()
        if name.startswith(PLACE_OF_RANDOM) and value is not None
    }


def work(args: argparse.Namespace, given: Mapping[str, Any], name: str) -> None:
    folder = args.folder / f"{name}-{args.minutes:g}min-seed{args.seed}"
    length = folder.with_suffix(".length.json")
    if not length.is_file():
        seconds = seconds_per_step(given, name, args.seed, args.root)
        write_json(length, {"steps": round(60 * args.minutes / seconds), "seconds_per_step": seconds})
    steps = read_json(length)["steps"]
    config = recipe(given, name, args.seed, args.root, f"steps={steps}")
    start = time.process_time()
    run = train_supernet(config, folder)
    space = config.load_space()
    scores = score(run, twelve(space, config.skeleton, args.predictor), args.images)
    write_json(
        folder.with_suffix(".scores.json"),
        {
            "recipe": name,
            "changes": given["recipes"][name],
            "seed": args.seed,
            "minutes": args.minutes,
            "cpu_minutes": round((time.process_time() - start) / 60, 1),
            "date": str(date.today()),
            "steps": steps,
            "images": steps * config.batch,
            "place_of_random": places(run),
            "scores": scores,
        },
    )


def table(folder: Path) -> None:
    """`recipes.md` and `recipes.png` of all that is scored, the best recipe first."""
    results = [read_json(path) for path in sorted(folder.glob("*.scores.json"))]

    def middle(result: Mapping[str, Any]) -> float:
        return float(np.mean([value for name, value in result["scores"].items() if name.endswith(" ms")]))

    results.sort(key=middle, reverse=True)
    lines = [
        "| recipe | core-minutes | seed | images | mean of twelve | smallest | largest | place of random |",
        "|---|---|---|---|---|---|---|---|",
    ]
    figure, axes = plt.subplots(figsize=(9, 7), layout="constrained")
    colours = dict(zip(dict.fromkeys(result["recipe"] for result in results), _COLOURS, strict=False))
    for result in results:
        scores, place = result["scores"], result["place_of_random"]
        told = ", ".join(f"{head} {100 * value:.0f} %" for head, value in place.items())
        lines.append(
            f"| {result['recipe']} | {result['minutes']:g} | {result['seed']} | {result['images']:,} | "
            f"{middle(result):.4f} | {scores['smallest']:.4f} | {scores['largest']:.4f} | {told} |"
        )
        points = [(float(name[:-3]), value) for name, value in scores.items() if name.endswith(" ms")]
        axes.plot(
            *zip(*points, strict=True),
            marker="o",
            color=colours[result["recipe"]],
            linestyle=_DASHES[result["seed"] % len(_DASHES)],
            label=f"{result['recipe']}, seed {result['seed']}",
        )
    axes.set(xscale="log", xlabel="predicted ms", ylabel=f"inherited {METRIC}")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.grid(alpha=0.3, which="both")
    figure.legend(loc="outside lower center", fontsize="small")
    figure.savefig(folder / "recipes.png", dpi=120)
    write_text(folder / "recipes.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=1000, help="of the validation set")
    parser.add_argument("--predictor", type=Path, default=Path("results/person-crop-lsp/predictor.json"))
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    given = read_yaml(args.recipes)
    for name in () if args.table else args.only or given["recipes"]:
        work(args, given, name)
    table(args.folder)


if __name__ == "__main__":
    main()
