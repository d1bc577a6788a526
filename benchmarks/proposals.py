"""What a draw of the search's sampler takes, once so many networks are scored.

    python benchmarks/proposals.py [--space litepose] [--networks 400] [--out FILE.json]

Milliseconds are those of the committed predictor of the space, accuracies made up: they rise with
milliseconds, and differ from network to network. Budgets are the third and the two thirds quantile of drawn
networks. Printed are seconds of wall clock and of the processor (all threads) over the last 50 draws,
refits of the model included: means, and the longest.
"""

import argparse
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from search import make_estimate

from nas.files import write_json
from nas.search.estimate import Estimate
from nas.search.samplers import SAMPLERS
from nas.space import Arch, ArchManager, SearchSpace
from nas.timing import describe_device

LAST = 50
_SPREAD = 0.02


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", choices=["litepose", "person-crop"], default="litepose")
    parser.add_argument("--networks", type=int, default=400)
    parser.add_argument("--sampler", choices=list(SAMPLERS), default="surrogate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = SearchSpace.load(given.space)
    figures = {
        "space": given.space,
        "sampler": given.sampler,
        "networks": given.networks,
        **measure(space, make_estimate(space), given.sampler, given.networks, seed=given.seed),
        "machine": describe_device().cpu,
        "date": str(date.today()),
    }
    print(json.dumps(figures, indent=2))
    if given.out is not None:
        write_json(given.out, figures)


def measure(
    space: SearchSpace, estimate: Estimate, sampler_name: str, networks: int, *, seed: int
) -> dict[str, Any]:
    """Seconds of the last draws of a search of so many networks."""
    rng = np.random.default_rng(seed)
    drawn = estimate.many([ArchManager(space).sample(rng) for _ in range(200)])
    budgets = np.quantile(drawn, (1 / 3, 2 / 3)).tolist()
    middle = float(np.median(drawn))

    def accuracy(arch: Arch, ms: float) -> float:
        own = np.random.default_rng(int(arch.id, 16)).standard_normal()
        return 0.6 * (1 - float(np.exp(-ms / middle))) + _SPREAD * float(own)

    sampler = SAMPLERS[sampler_name](space, estimate.many, budgets_ms=budgets, seed=seed)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    wall, processor = [], []
    for _ in range(networks):
        before = time.perf_counter(), time.process_time()
        trial = study.ask(dict(sampler.distributions))
        arch = sampler.arch(trial.params)
        wall.append(time.perf_counter() - before[0])
        processor.append(time.process_time() - before[1])
        (ms,) = estimate.many([arch])
        study.tell(trial, [accuracy(arch, float(ms)), float(ms)])
    return {
        name: {"mean": float(np.mean(taken[-LAST:])), "longest": float(np.max(taken[-LAST:]))}
        for name, taken in (("wall_s", wall), ("processor_s", processor))
    }


if __name__ == "__main__":
    main()
