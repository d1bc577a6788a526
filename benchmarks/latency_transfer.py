"""How well another device's latency predictor does once few networks of this one have corrected it.

    python benchmarks/latency_transfer.py results/latency/person-crop-coco17.jsonl \\
        --to results/latency/avx2/person-crop-coco17.jsonl

The predictor that is fitted to all of one table is corrected by five (or fifteen) networks of the other one,
and asked about the others there. Which ones is drawn again and again: spread over MACs, as `nas latency
measure` draws them, or anyhow. Beside it stand the other predictor times one factor, and a predictor that is
fitted to the same networks and begins with nothing.

Where the second table does not exist, it is timed first, on this machine: networks of the first one's space,
in so many threads or in int8, or by the onnxruntime of a folder:

    python benchmarks/latency_transfer.py results/latency/avx2/person-crop-coco17.jsonl \\
        --to results/latency/avx2/person-crop-coco17-2t.jsonl --threads 2
    python benchmarks/latency_transfer.py results/latency/avx2/person-crop-coco17.jsonl \\
        --to results/latency/avx2/person-crop-coco17-int8.jsonl --precision int8
    pip install --no-deps --target other onnxruntime==1.31.1
    python benchmarks/latency_transfer.py results/latency/avx2/person-crop-coco17.jsonl \\
        --to results/latency/avx2/person-crop-coco17-1.31.1.jsonl --runtime other
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nas.latency.attribution import TimedKernels
from nas.latency.drawing import spread
from nas.latency.kernel_model import KernelModel
from nas.latency.samples import Samples
from nas.latency.uncertainty import Novelty
from nas.latency.validation import Fit, HeldOutErrors, cross_validate, mean_novelty
from nas.timing import LatencyTable
from nas.timing.timing import noise_floor

COVERAGE = 0.9
POOL = 2 / 3
CORRECTED, FACTOR, ALONE = "corrected", "one factor", "from nothing"


def measure(like: LatencyTable, options: argparse.Namespace) -> None:
    """Time networks of a table's space into the second table, in a process that may have another runtime."""
    source = like.sources[0]
    print(f"{options.to} does not exist: its networks are timed on this machine now", flush=True)
    command = [
        sys.executable, "-m", "nas", "latency", "measure",
        "--space", source.space["name"], "--skeleton", source.skeleton["name"],
        "--samples", options.samples, "--threads", options.threads, "--precision", options.precision,
        "--table", options.to,
    ]  # fmt: skip
    usual = os.environ.get("PYTHONPATH", "")
    path = f"{options.runtime.resolve()}:{usual}" if options.runtime else usual
    subprocess.run([str(part) for part in command], check=True, env={**os.environ, "PYTHONPATH": path})


def choose(networks: Sequence[TimedKernels], count: int, *, seed: int, how: str) -> list[int]:
    """Which networks are timed: drawn anyhow, or spread over MACs as `nas latency measure` does."""
    order = np.random.default_rng(seed).permutation(len(networks)).tolist()
    if how == "any":
        return order[:count]
    by_macs = sorted(range(len(networks)), key=lambda place: networks[place].macs)
    ends = [by_macs[0], by_macs[-1]]
    described = {
        place: (network.macs, frozenset(kernel.kind for kernel in network.kernels))
        for place, network in enumerate(networks)
    }
    pool = [place for place in order if place not in ends][: round(POOL * len(order))]
    return spread(ends, pool, described, samples=count)


def trial(
    known: Fit, networks: Sequence[TimedKernels], chosen: Sequence[int], *, seed: int
) -> dict[str, Any]:
    """One choice of networks: errors on the others."""
    seen = [networks[place] for place in chosen]
    held_out = [network for place, network in enumerate(networks) if place not in chosen]
    measured = np.array([network.label_ms for network in held_out])
    corrected = Fit.of(seen, other=known, boosted=True, seed=seed)
    of_other = known.model.network_ms([network.kernels for network in held_out])
    ratio = np.log([n.label_ms / known.model.network_ms([n.kernels])[0] for n in seen]).mean()
    predicted = {
        CORRECTED: corrected.model.network_ms([network.kernels for network in held_out]),
        FACTOR: of_other * np.exp(ratio),
        ALONE: KernelModel.fit(seen, seed=seed).network_ms([network.kernels for network in held_out]),
    }
    labels = np.array([network.label_ms for network in seen])
    uncertainty = cross_validate(seen, other=known, boosted=True, seed=seed).uncertainty(labels, [])
    novelty = [
        mean_novelty(corrected.novelty(n.kernels), corrected.model.kernel_ms(n.kernels)) for n in held_out
    ]
    bound = uncertainty.relative(np.array(novelty), coverage=COVERAGE)
    return {
        "errors": {name: HeldOutErrors.of(found, measured).to_json() for name, found in predicted.items()},
        "interval": {
            "coverage": float((np.abs(predicted[CORRECTED] / measured - 1) <= bound).mean()),
            "half_width": float(np.median(bound)),
        },
    }


def summary(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Per way to predict the mean MAPE over all choices, and what nine in ten stay below; the intervals."""
    found: dict[str, Any] = {}
    for name in (CORRECTED, FACTOR, ALONE):
        mapes = np.array([trial["errors"][name]["mape"] for trial in trials])
        found[name] = {
            "mape": float(mapes.mean()),
            "mape_90": float(np.quantile(mapes, 0.9)),
            "within_10": float(np.mean([trial["errors"][name]["within_10"] for trial in trials])),
        }
    interval = {
        figure: float(np.mean([trial["interval"][figure] for trial in trials]))
        for figure in ("coverage", "half_width")
    }
    return {"predictors": found, "interval_90": interval}


def show(how: str, count: int, figures: dict[str, Any]) -> None:
    """Print one size."""
    for name, found in figures["predictors"].items():
        print(
            f"{count:>3} {how:<8}{name:<14}mean error {found['mape']:>6.2%}, nine in ten choices below "
            f"{found['mape_90']:>6.2%}; within 10 %: {found['within_10']:.1%}"
        )
    interval = figures["interval_90"]
    print(f"{'':<12}90 % interval holds {interval['coverage']:.1%}, half width {interval['half_width']:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="of the other device")
    parser.add_argument("--to", type=Path, required=True, help="table of the device to predict for")
    parser.add_argument("--threads", type=int, default=1, help="where that is to be timed")
    parser.add_argument("--precision", default="fp32", help="of its networks")
    parser.add_argument("--runtime", type=Path, help="a folder that holds another onnxruntime to time by")
    parser.add_argument("--samples", type=int, default=48, help="networks to time")
    parser.add_argument("--count", type=int, nargs="+", default=[5, 15], help="networks that correct")
    parser.add_argument("--draws", type=int, default=20, help="of which ones these are")
    parser.add_argument("--out", type=Path, default=Path("results/latency/transfer.json"), help="is added to")
    options = parser.parse_args()
    other = LatencyTable.read(options.table)
    if not options.to.is_file():
        measure(other, options)
    target = LatencyTable.read(options.to)
    samples = Samples.of(target, precision=options.precision)
    networks = samples.networks
    begin = Samples.of(other).networks
    known = Fit(
        KernelModel.fit(begin, seed=0),
        Novelty.of([kernel for network in begin for kernel in network.kernels]),
    )
    result: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": {"table": str(options.table), "device": other.device.to_json(), "networks": len(begin)},
        "to": {
            "table": str(options.to),
            "device": target.device.to_json(),
            "precision": options.precision,
            "networks": len(networks),
            "noise_floor": noise_floor(samples.timings),
        },
        "draws": options.draws,
        "sizes": {},
    }
    print(f"{other.device}\n-> {target.device}, {options.precision}")
    print(f"{len(networks)} networks, noise floor {result['to']['noise_floor']:.1%}")
    for how in ("spread", "any"):
        for count in options.count:
            trials = [
                trial(known, networks, choose(networks, count, seed=seed, how=how), seed=seed)
                for seed in range(options.draws)
            ]
            result["sizes"][f"{count} {how}"] = summary(trials)
            show(how, count, result["sizes"][f"{count} {how}"])
    former = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {}
    former[f"{options.table} -> {options.to}"] = result
    options.out.write_text(json.dumps(former, indent=1) + "\n", encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main()
