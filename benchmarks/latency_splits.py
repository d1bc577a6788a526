"""How well a latency predictor does on networks that it has not seen, beside other ways to predict.

    python benchmarks/latency_splits.py results/latency/litepose-coco17.jsonl

Over seeded random splits of a table, a predictor is fitted to some networks and asked about all others. So
are a line over MACs, a table of blocks that are added up, and a forest per operator. The noise floor is what
half of a network's visits differ from the other half by, over the square root of two: better predictors than
that cannot be told apart. All splits are written out.
"""

import argparse
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nas.latency.attribution import TimedKernels
from nas.latency.baselines import BASELINES
from nas.latency.kernel_model import KernelModel
from nas.latency.samples import Samples
from nas.latency.uncertainty import Novelty
from nas.latency.validation import HeldOutErrors, cross_validate, mean_novelty
from nas.timing import LatencyTable
from nas.timing.timing import Timing, noise_floor

COVERAGE = 0.9


def split(
    networks: Sequence[TimedKernels], timings: Sequence[Timing], *, train: int, seed: int, boosted: bool
) -> dict[str, Any]:
    """One split: errors of all predictors on the networks that were not fitted to."""
    order = np.random.default_rng(seed).permutation(len(networks))
    seen, held_out = [networks[i] for i in order[:train]], [networks[i] for i in order[train:]]
    measured = np.array([network.label_ms for network in held_out])
    model = KernelModel.fit(seen, boosted=boosted, seed=seed)
    predicted = model.network_ms([network.kernels for network in held_out])
    roofline = KernelModel.fit(seen, boosted=False).network_ms([network.kernels for network in held_out])
    errors = {
        "predictor": HeldOutErrors.of(predicted, measured),
        "roofline alone": HeldOutErrors.of(roofline, measured),
    }
    for name, fit in BASELINES.items():
        errors[name] = HeldOutErrors.of(fit(seen, seed=seed)(held_out), measured)
    uncertainty = cross_validate(seen, boosted=boosted, seed=seed).uncertainty(
        np.array([network.label_ms for network in seen]), [timings[i] for i in order[:train]]
    )
    strange = Novelty.of([kernel for network in seen for kernel in network.kernels])
    novelty = [mean_novelty(strange(n.kernels), model.kernel_ms(n.kernels)) for n in held_out]
    bound = uncertainty.relative(np.array(novelty), coverage=COVERAGE)
    return {
        "seed": seed,
        "fitted_to": [timings[i].key for i in order[:train]],
        "errors": {name: found.to_json() for name, found in errors.items()},
        "interval": {
            "coverage": float((np.abs(predicted / measured - 1) <= bound).mean()),
            "half_width": float(np.median(bound)),
        },
    }


def summary(splits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Per predictor the median MAPE and the means of the other figures; coverage of the 90 % interval."""
    figures: dict[str, Any] = {}
    for name in splits[0]["errors"]:
        found = [split["errors"][name] for split in splits]
        figures[name] = {
            "median_mape": float(np.median([errors["mape"] for errors in found])),
            **{
                f"mean_{figure}": float(np.mean([errors[figure] for errors in found]))
                for figure in ("within_5", "within_10", "spearman", "maximum")
            },
        }
    return {
        "predictors": figures,
        "interval_90": {
            figure: float(np.mean([split["interval"][figure] for split in splits]))
            for figure in ("coverage", "half_width")
        },
    }


def floor_within_5(timings: Sequence[Timing]) -> float:
    """The share of networks whose label is known to 5 %: half against half, over the square root of two."""
    known = [value / math.sqrt(2) for timing in timings if (value := timing.disagreement) is not None]
    return float(np.mean(np.array(known) <= 0.05))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--train", type=int, nargs="+", default=[15, 30, 60])
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--roofline", action="store_true", help="leave the boosted residual out")
    parser.add_argument("--out", type=Path, help="JSON; by default beside the table")
    options = parser.parse_args()
    table = LatencyTable.read(options.table)
    samples = Samples.of(table)
    networks, timings = samples.networks, samples.timings
    result: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": table.device.to_json(),
        "networks": len(networks),
        "ms": [min(n.label_ms for n in networks), max(n.label_ms for n in networks)],
        "loaded": sum(timing.loaded for timing in timings),
        "matched": float(np.mean([network.matched for network in networks])),
        "noise_floor": noise_floor(timings),
        "floor_within_5": floor_within_5(timings),
        "sizes": {},
    }
    for train in options.train:
        if train > len(networks) - 5:
            continue
        splits = [
            split(networks, timings, train=train, seed=seed, boosted=not options.roofline)
            for seed in range(options.splits)
        ]
        result["sizes"][str(train)] = {**summary(splits), "splits": splits}
        show(train, result["sizes"][str(train)])
    print(f"noise floor {result['noise_floor']:.2%}; {result['floor_within_5']:.0%} within 5 % of it")
    output = options.out or options.table.with_name(f"{options.table.stem}-splits.json")
    output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(output)


def show(train: int, figures: dict[str, Any]) -> None:
    """Print one size of the table."""
    print(f"\nfitted to {train} networks        MAPE  within 5 %  within 10 %  Spearman  largest")
    for name, found in figures["predictors"].items():
        print(
            f"{name:<30}{found['median_mape']:>6.2%}{found['mean_within_5']:>12.1%}"
            f"{found['mean_within_10']:>13.1%}{found['mean_spearman']:>10.4f}{found['mean_maximum']:>9.1%}"
        )
    interval = figures["interval_90"]
    print(
        f"the 90 % interval held {interval['coverage']:.1%}; its half width is {interval['half_width']:.1%}"
    )


if __name__ == "__main__":
    main()
