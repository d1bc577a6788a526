"""How good the samplers are: best accuracy within budgets, and the area under the front, over evaluations.

    OMP_NUM_THREADS=1 python benchmarks/search.py --run runs/mine

Networks are those of `person-crop`, milliseconds those of the committed predictor, budgets 0.3 and 0.7 ms.
Accuracy is looked up on three landscapes:

smooth       every dimension counts by itself, in `smooth` below; no noise.
rugged       the same, and 120 random pairs of dimensions that count together, in `Rugged`; noise of .008.
fitted       boosted trees, fitted to the networks that searches of a run (`--run`) have scored with its
             trained supernet; of the run's own space, which lies within `person-crop`; the noise is what
             scores of the same networks differ by that were calibrated on other images.

`each-head` is the surrogate for one head at a time, in turns, as `nas search` asks it; all others see the
heads as one choice among many.

What counts is the accuracy without noise of the network that was found best with it. The area is that under
the front above .10, over the logarithm of milliseconds, up to the largest budget. Every run is kept in
`runs.jsonl` and not made again; tables, figure and means are of all that are there, `fitted` of those
that were made on the newest fit.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from scipy.stats import kendalltau
from sklearn.ensemble import GradientBoostingRegressor

from nas.files import append_row, read_rows
from nas.graph import Tracer
from nas.latency import EndToEnd, LatencyPredictor
from nas.report.figures import COLOURS, new_figure, save
from nas.runs import RunFolder
from nas.search.estimate import Estimate
from nas.search.samplers import SAMPLERS, ArchSampler, HeadTurns, SurrogateSampler
from nas.search.samplers.features import Features
from nas.search.samplers.genes import INACTIVE, Genome
from nas.space import Arch, SearchSpace
from nas.timing import describe_device

ROOT = Path(__file__).resolve().parents[1]
PREDICTORS = ROOT / "results" / "latency"
SPACE, SKELETON = "person-crop", "coco17"
BUDGETS = (0.3, 0.7)
FLOOR = 0.10
COMPARED: dict[str, Callable[..., ArchSampler]] = {
    "each-head": partial(HeadTurns, SurrogateSampler),
    **SAMPLERS,
}
COUNTS = (50, 100, 200, 400)

UPSAMPLERS = {"bilinear": 0.0, "nearest_dw": 0.05, "deconv2x2": 0.03, "deconv4x4": 0.08}
WIDTHS, DEPTHS = (0.10, 0.20, 0.30, 0.25), (0.05, 0.15, 0.30, 0.30)
KERNELS, EXPANSIONS = (0.05, 0.15, 0.30, 0.30), (0.05, 0.10, 0.15, 0.15)
NARROWEST = (16, 24, 32, 64)
PAIRS, PAIRS_SEED, PAIRS_SCALE = 120, 7, 0.06


@dataclass(frozen=True)
class Landscape:
    """Milliseconds and accuracies of a space's networks, and the standard deviation with which the latter
    are known."""

    space: SearchSpace
    estimate: Estimate
    accuracy: Callable[[Arch], float]
    noise: float
    facts: dict[str, Any] = field(default_factory=dict)


def smooth(arch: Arch) -> float:
    """.20 for the smallest network, .72 for the largest: the more capacity there is, the less more adds."""
    capacity = -2.2 + 1.1 * np.log2(arch.resolution[0] * arch.resolution[1] / 6144) / 3
    capacity += 0.15 * np.log2(arch.stem.width / 8)
    for number, stage in enumerate(arch.stages):
        capacity += WIDTHS[number] * np.log2(stage.width / NARROWEST[number])
        capacity += DEPTHS[number] * np.log2(1 + stage.depth)
        capacity += KERNELS[number] * np.mean([(block.kernel - 3) / 4 for block in stage.blocks])
        capacity += EXPANSIONS[number] * np.log2(np.mean([block.expansion for block in stage.blocks]) / 2)
    if arch.neck.widths:
        first, second = arch.neck.widths
        capacity += 0.25 + 0.10 * np.log2(first / 24) + 0.08 * np.log2(second / 16)
        capacity += UPSAMPLERS[str(arch.neck.upsampler)]
    return float(0.75 / (1 + np.exp(-capacity)))


class Rugged:
    """`smooth`, and for random pairs of dimensions a factor times where both choices are, from -1 to 1."""

    def __init__(self, space: SearchSpace) -> None:
        rng = np.random.default_rng(PAIRS_SEED)
        self._genome = Genome(space)
        self._pairs = np.array(
            [rng.choice(len(self._genome.names), size=2, replace=False) for _ in range(PAIRS)]
        )
        self._factors = rng.standard_normal(PAIRS) * PAIRS_SCALE / np.sqrt(PAIRS)

    def __call__(self, arch: Arch) -> float:
        genes = self._genome.read(arch)
        positions = np.where(genes == INACTIVE, 0.0, 2 * genes / (self._genome.sizes - 1) - 1)
        first, second = positions[self._pairs].T
        return float(np.clip(smooth(arch) + (self._factors * first * second).sum(), 0.0, 1.0))


class Fitted:
    """Boosted trees over choices and milliseconds; five of them, whose mean counts."""

    def __init__(
        self, space: SearchSpace, archs: Sequence[Arch], accuracies: Sequence[float], estimate: Estimate
    ) -> None:
        self._estimate, self._genome = estimate, Genome(space)
        self._features = Features(self._genome)
        self._trees = [
            GradientBoostingRegressor(
                n_estimators=400,
                learning_rate=0.03,
                max_depth=3,
                subsample=0.7,
                max_features=0.3,
                random_state=seed,
            ).fit(self._rows(archs), accuracies)
            for seed in range(5)
        ]

    def __call__(self, arch: Arch) -> float:
        return float(self.predict([arch])[0])

    def predict(self, archs: Sequence[Arch]) -> np.ndarray:
        rows = self._rows(archs)
        return np.mean([trees.predict(rows) for trees in self._trees], axis=0)

    def _rows(self, archs: Sequence[Arch]) -> np.ndarray:
        genes = np.stack([self._genome.read(arch) for arch in archs])
        return np.column_stack([self._features(genes), np.log(self._estimate.many(archs))])


def read_scores(run: RunFolder, metric: str) -> dict[Arch, list[float]]:
    """What a run's searches have scored networks with; some of them on several sets of calibration images.

    Most of what is scored has inherited weights; what was trained by itself is left out.
    """
    rows = [row for _, row in read_rows(run.evaluations_file, strict=False) if "arch" in row]
    weights = Counter(row["key"].split("-")[0] for row in rows).most_common(1)[0][0]
    found: dict[Arch, list[float]] = {}
    for row in rows:
        if row["key"].split("-")[0] == weights and metric in row["scores"]:
            found.setdefault(Arch.from_json(row["arch"]), []).append(float(row["scores"][metric]))
    return found


def fitted(run: RunFolder, metric: str) -> Landscape:
    """The landscape of a run's scores, and its error on every fifth network, not fitted to those."""
    scores, space = read_scores(run, metric), run.config().load_space()
    estimate = make_estimate(space)
    archs, accuracies = list(scores), np.array([np.mean(of) for of in scores.values()])
    differences = [of[0] - other for of in scores.values() for other in of[1:]]
    noise = float(np.std(differences))
    held_out = np.random.default_rng(0).permutation(len(archs)) % 5 == 0
    model = Fitted(
        space, [a for a, out in zip(archs, held_out, strict=True) if not out], accuracies[~held_out], estimate
    )
    predicted = model.predict([a for a, out in zip(archs, held_out, strict=True) if out])
    truth = accuracies[held_out]
    facts = {
        "networks": len(archs),
        "metric": metric,
        "held_out": int(held_out.sum()),
        "held_out_error": float(np.abs(predicted - truth).mean()),
        "held_out_spread": float(truth.std()),
        "held_out_tau": float(kendalltau(predicted, truth).statistic),
        "noise": noise,
        "scored_again": len(differences),
    }
    print(f"fitted: {json.dumps(facts)}", flush=True)
    return Landscape(space, estimate, Fitted(space, archs, accuracies.tolist(), estimate), noise, facts)


def make_estimate(space: SearchSpace) -> Estimate:
    """Predicted milliseconds of one person, by the committed predictor of the space."""
    file = PREDICTORS / f"{space.name}-{SKELETON}-predictor.json"
    predictor = LatencyPredictor.load(file, allow_other_device=True)
    tracer = Tracer(space, SKELETON, anonymous=True)
    return Estimate(predictor, tracer, end_to_end=EndToEnd())


def figures(times: np.ndarray, observed: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """What a search has come to: by what it believes to be best, as good as that really is."""
    best = {}
    for budget in BUDGETS:
        within = np.flatnonzero(times <= budget)
        best[f"{budget:g}"] = float(truth[within[observed[within].argmax()]]) if len(within) else 0.0
    order = np.lexsort((-observed, times))
    leader = order[0]
    area, since = 0.0, float(np.log(times[leader]))
    for place in [*order[1:], None]:
        if place is not None and observed[place] <= observed[leader]:
            continue
        until = float(np.log(BUDGETS[-1] if place is None else times[place]))
        area += max(float(truth[leader]) - FLOOR, 0.0) * (until - since)
        if place is not None:
            leader, since = place, until
    return {"hypervolume": area, "best": best}


def search(landscape: Landscape, sampler_name: str, seed: int, evaluations: int) -> dict[str, Any]:
    """One run: figures after so many evaluations, and the processor's seconds per draw at its end."""
    sampler = COMPARED[sampler_name](landscape.space, landscape.estimate.many, budgets_ms=BUDGETS, seed=seed)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    points: list[tuple[float, float, float]] = []
    after, seconds = {}, []
    for number in range(1, evaluations + 1):
        start = time.process_time()
        trial = study.ask(dict(sampler.distributions))
        arch = sampler.arch(trial.params)
        seconds.append(time.process_time() - start)
        truth = landscape.accuracy(arch)
        error = np.random.default_rng((seed, int(arch.id, 16))).standard_normal()
        points.append((landscape.estimate(arch), truth + landscape.noise * float(error), truth))
        study.tell(trial, [points[-1][1], points[-1][0]])
        if number in COUNTS:
            after[str(number)] = figures(*np.array(points).T)
    return {"after": after, "seconds_per_draw": float(np.mean(seconds[-50:]))}


def read_runs(file: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The runs that were made, by landscape, sampler and seed; the last of each.

    Those of a landscape that was fitted to other networks than the last one are left out.
    """
    rows = [row for _, row in read_rows(file)] if file.is_file() else []
    fitted_to = {row["landscape"]: row["facts"].get("networks") for row in rows}
    return {
        (row["landscape"], row["sampler"], row["seed"]): row
        for row in rows
        if row["facts"].get("networks") == fitted_to[row["landscape"]]
    }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds, and their standard errors; samplers in the order of `COMPARED`."""
    result: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": describe_device(threads=1).to_json(),
        "budgets_ms": list(BUDGETS),
        "floor": FLOOR,
        "landscapes": {row["landscape"]: row["facts"] for row in rows},
    }
    order = list(COMPARED)
    for landscape, sampler in sorted(
        dict.fromkeys((row["landscape"], row["sampler"]) for row in rows),
        key=lambda pair: (list(result["landscapes"]).index(pair[0]), order.index(pair[1])),
    ):
        runs = [row for row in rows if (row["landscape"], row["sampler"]) == (landscape, sampler)]
        areas, errors = averaged(runs, lambda figures: figures["hypervolume"])
        bests = {
            name: averaged(runs, lambda figures, name=name: figures["best"][name])
            for name in (f"{budget:g}" for budget in BUDGETS)
        }
        for name, value in {
            "hypervolume": areas,
            "hypervolume_error": errors,
            "best": {name: means for name, (means, _) in bests.items()},
            "best_error": {name: spread for name, (_, spread) in bests.items()},
            "seeds": len(runs),
            "seconds_per_draw": float(np.mean([run["seconds_per_draw"] for run in runs])),
        }.items():
            result.setdefault(name, {}).setdefault(landscape, {})[sampler] = value
    return result


def averaged(
    runs: Sequence[dict[str, Any]], figure: Callable[[dict[str, Any]], float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Mean and standard error of a figure by the number of evaluations."""
    means, errors = {}, {}
    for count in runs[0]["after"]:
        found = [figure(run["after"][count]) for run in runs if count in run["after"]]
        means[count] = float(np.mean(found))
        errors[count] = float(np.std(found, ddof=1) / np.sqrt(len(found))) if len(found) > 1 else 0.0
    return means, errors


def tables(result: dict[str, Any]) -> str:
    """Markdown: a table per landscape, area and best accuracies by evaluations."""
    lines = []
    for landscape, samplers in result["hypervolume"].items():
        facts = ", ".join(
            f"{name} {value:.2g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in result["landscapes"][landscape].items()
        )
        counts = list(dict.fromkeys(n for areas in samplers.values() for n in areas))
        lines += [f"**{landscape}**" + (f" ({facts})" if facts else ""), ""]
        lines += [
            f"| area · best within {' / '.join(map(str, BUDGETS))} ms after "
            f"| {' | '.join(counts)} | seeds | s a draw |"
        ]
        lines += ["|---" * (len(counts) + 3) + "|"]
        for sampler, areas in samplers.items():
            cells = [
                f"{areas[n]:.3f} · "
                + "/".join(f"{b[n]:.3f}" for b in result["best"][landscape][sampler].values())
                if n in areas
                else ""
                for n in counts
            ]
            seeds, seconds = (result[name][landscape][sampler] for name in ("seeds", "seconds_per_draw"))
            lines += [f"| {sampler} | {' | '.join(cells)} | {seeds} | {seconds:.3f} |"]
        lines += [""]
    return "\n".join(lines)


def draw(path: Path, result: dict[str, Any]) -> None:
    """The area over evaluations, a panel per landscape."""
    landscapes = list(result["hypervolume"])
    figure, panels = new_figure(4.2 * len(landscapes), 3.8, columns=len(landscapes))
    for axes, landscape in zip(panels, landscapes, strict=True):
        axes.set_title(landscape, loc="left")
        for colour, sampler in zip(COLOURS, COMPARED, strict=False):
            if not (areas := result["hypervolume"][landscape].get(sampler)):
                continue
            counts = [int(n) for n in areas]
            errors = list(result["hypervolume_error"][landscape][sampler].values())
            style = {"marker": "o", "markersize": 3, "color": colour, "label": sampler}
            axes.errorbar(counts, list(areas.values()), yerr=errors, **style)
        axes.set_xlabel("networks scored")
    panels[0].set_ylabel("area under the front")
    panels[-1].legend(frameon=False, fontsize=8)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, help="the folder of a searched run; without it, no `fitted`")
    parser.add_argument("--metric", default="PCK_torso@0.2", help="of the run's scores")
    parser.add_argument("--landscapes", nargs="+", default=["smooth", "rugged", "fitted"])
    parser.add_argument("--samplers", nargs="+", default=list(COMPARED), choices=list(COMPARED))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--gp-seeds", type=int, default=3, help="of Optuna's GP, which takes its time")
    parser.add_argument("--evaluations", type=int, default=COUNTS[-1])
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "search")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space, file = SearchSpace.load(SPACE), options.out / "runs.jsonl"
    estimate = make_estimate(space)
    landscapes = {
        "smooth": Landscape(space, estimate, smooth, 0.0),
        "rugged": Landscape(space, estimate, Rugged(space), 0.008),
    }
    if options.run:
        landscapes["fitted"] = fitted(RunFolder.open(options.run), options.metric)
    wanted = [
        (landscape, sampler, seed)
        for seed in range(options.seeds)
        for landscape in options.landscapes
        if landscape in landscapes
        for sampler in options.samplers
        if sampler != "gp" or seed < options.gp_seeds
    ]
    for landscape, sampler, seed in wanted:
        facts = landscapes[landscape].facts
        made = read_runs(file).get((landscape, sampler, seed), {"facts": {}, "evaluations": 0})
        same = made["facts"].get("networks") == facts.get("networks")
        if same and made["evaluations"] >= options.evaluations:
            continue
        found = search(landscapes[landscape], sampler, seed, options.evaluations)
        row = {"landscape": landscape, "sampler": sampler, "seed": seed, "evaluations": options.evaluations}
        append_row(file, {**row, "facts": facts, **found})
        print(landscape, sampler, seed, json.dumps(found["after"]), flush=True)
    result = summary(list(read_runs(file).values()))
    (options.out / "benchmark.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (options.out / "tables.md").write_text(tables(result), encoding="utf-8")
    draw(options.out / "search.png", result)
    print(tables(result))


if __name__ == "__main__":
    main()
