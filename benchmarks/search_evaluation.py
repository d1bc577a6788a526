"""Networks that a search scores in a core-second: with 64 calibration images and early stopping, and without.

    python benchmarks/search_evaluation.py RUN --budget-ms 0.3 --budget-ms 0.7 [--trials 100] [--metric AP]
        [--set data.root=FOLDER] [--sampler surrogate] [--before CHECKOUT] [--out FILE.json]

RUN is the folder of a trained supernet with a predictor (best of this machine); it is not written. Two
searches, each in a process and a copy of its own, take turns in blocks of ten networks: `before`
calibrates every network with all of the run's images and scores it on everybody, `now` does what a new
search does. With `--before` the first one runs the code of another checkout as it is. A figure is
networks over the processor time of all threads, proposals and records included; the ratio stands with a
bootstrap interval (95 %) over blocks. Both then measure finalists, with a predictor of this machine.
Where their winners differ, today's code scores both with all images, on the same draws of people.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent.parent
BLOCK = 10
WAYS = ("before", "now")
_LEFT_OUT = ("search", "subnets", "finetune", "checkpoints", "report")


def work(folder: Path, overrides: list[str], settings: Mapping[str, Any]) -> None:
    """One search, block by block as lines come in; the code is that of `PYTHONPATH`."""
    import nas
    from nas.runs.folder import RunFolder

    begun = 0.0

    def report(progress: Any) -> None:
        nonlocal begun
        if progress.done % BLOCK and progress.done < progress.total:
            return
        if progress.done:
            seconds = time.process_time() - begun
            print(json.dumps({"networks": progress.done, "seconds": seconds}), flush=True)
        if not sys.stdin.readline():
            raise SystemExit("nobody is listening")
        begun = time.process_time()

    found = nas.search_run(RunFolder.open(folder, overrides), nas.SearchSettings(**settings), progress=report)
    winners = {f"{subnet.budget_ms:g}": subnet.arch.to_json() for subnet in found.subnets}
    print(json.dumps({"winners": winners}), flush=True)


class Searcher:
    """A search in a process of its own."""

    def __init__(
        self, folder: Path, code: Path, overrides: Sequence[str], settings: Mapping[str, Any]
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work", json.dumps([str(folder), list(overrides), dict(settings)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(code)},
        )
        self.blocks: list[tuple[int, float]] = []
        self.winners: dict[str, Any] = {}

    @property
    def networks(self) -> int:
        return self.blocks[-1][0] if self.blocks else 0

    def go_on(self) -> None:
        """One block of networks, or the finals."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        if not said:
            raise SystemExit("a search ended with an error, see above")
        values = json.loads(said)
        if "winners" in values:
            self.winners = values["winners"]
        else:
            self.blocks.append((values["networks"], values["seconds"]))

    def seconds(self) -> tuple[np.ndarray, np.ndarray]:
        """Networks and seconds of each block."""
        counts, seconds = zip(*self.blocks, strict=True)
        return np.diff(counts, prepend=0), np.array(seconds)


@contextmanager
def searchers(args: argparse.Namespace) -> Iterator[dict[str, Searcher]]:
    """Both searches, each in a copy of the run."""
    from nas.runs.folder import RunFolder

    shared = {
        "budgets_ms": args.budgets, "trials": args.trials, "metric": args.metric, "seed": args.seed,
        "predictor": str((args.predictor or RunFolder.open(args.run).predictor_file).resolve()),
        "allow_other_device": True,
    }  # fmt: skip
    sampler = {"sampler": args.sampler}
    images = RunFolder.open(args.run).config().calibration.images
    as_before = {**sampler, "calibration_images": images, "early_stopping": False}
    settings = {"before": {} if args.before else as_before, "now": sampler}
    code = {"before": args.before or HERE, "now": HERE}
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for way in WAYS:
            copy = Path(folder) / way
            shutil.copytree(args.run, copy, ignore=shutil.ignore_patterns(*_LEFT_OUT))
            found[way] = Searcher(copy, code[way], args.set, {**shared, **settings[way]})
        yield found


def ratio_of(found: Mapping[str, Searcher]) -> tuple[float, float, float]:
    """Networks per core-second of now over before, and its interval over blocks drawn anew."""
    rng = np.random.default_rng(0)
    ratios = []
    for draw in range(2001):
        rates = {}
        for way, searcher in found.items():
            networks, seconds = searcher.seconds()
            chosen = rng.integers(len(networks), size=len(networks)) if draw else np.arange(len(networks))
            rates[way] = networks[chosen].sum() / seconds[chosen].sum()
        ratios.append(rates["now"] / rates["before"])
    low, high = np.quantile(ratios[1:], (0.025, 0.975)).tolist()
    return float(ratios[0]), low, high


def compare(args: argparse.Namespace, archs: Sequence[Any]) -> dict[str, float]:
    """What the second network scores more than the first, with all images, on the same draws."""
    from nas.runs import RunFolder, load_supernet, open_calibration, open_data
    from nas.search.evaluator import SubnetEvaluator
    from nas.space import Arch

    run = RunFolder.open(args.run, args.set)
    supernet, config = load_supernet(run), run.config()
    data = open_data(config, config.load_space(), run)
    evaluator = SubnetEvaluator(supernet, open_calibration(run, data), data.search, key="")
    evaluator = evaluator.for_search(args.metric, key="")
    first, second = (Arch.from_json(arch) for arch in archs)
    difference = evaluator(second)[args.metric] - evaluator(first)[args.metric]
    low, high = np.quantile(evaluator.resampled(second) - evaluator.resampled(first), (0.025, 0.975)).tolist()
    return {"difference": difference, "low": low, "high": high}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--budget-ms", dest="budgets", type=float, action="append", required=True)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--metric", default="AP")
    parser.add_argument("--sampler", default="surrogate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--predictor", type=Path, help="by default the run's")
    parser.add_argument("--set", action="append", default=[], help="a.b=c of the run, such as data.root")
    parser.add_argument("--before", type=Path, help="a checkout whose code the first search runs")
    parser.add_argument("--out", type=Path, help="JSON of what was found")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    with searchers(args) as found:
        while any(searcher.networks < args.trials for searcher in found.values()):
            for way in rng.permutation(WAYS).tolist():
                if found[way].networks < args.trials:
                    found[way].go_on()
                    print(f"{way}: {found[way].networks} networks", file=sys.stderr)
        for searcher in found.values():
            searcher.go_on()
    rates = {}
    for way, searcher in found.items():
        networks, seconds = searcher.seconds()
        rates[way] = float(networks.sum() / seconds.sum())
        print(
            f"{way:7} {rates[way]:.3f} networks per core-second ({networks.sum()} in {seconds.sum():.0f} s)"
        )
    ratio, low, high = ratio_of(found)
    print(f"ratio   {ratio:.2f} ({low:.2f} - {high:.2f})")
    winners: dict[str, Any] = {}
    for budget in found["before"].winners | found["now"].winners:
        pair = [found[way].winners.get(budget) for way in WAYS]
        same = pair[0] == pair[1]
        winners[budget] = {"same": same}
        if not same and None not in pair:
            winners[budget] |= compare(args, pair)
        figures = winners[budget]
        more = (
            f"; now's scores {figures['difference']:+.4f} more ({figures['low']:+.4f} .. "
            f"{figures['high']:+.4f}) with all images"
            if "low" in figures
            else ""
        )
        print(f"winner within {budget} ms: {'the same' if same else 'another'}{more}")
    if args.out:
        content = {"networks_per_core_second": rates, "ratio": [ratio, low, high], "winners": winners}
        args.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        place, given, wanted = json.loads(sys.argv[2])
        work(Path(place), given, {**wanted, "predictor": Path(wanted["predictor"])})
    else:
        main()
