"""Predicted against measured size and memory: of networks drawn from shipped spaces.

    python benchmarks/footprint.py --samples 20 --seed 1 --out results/benchmarks/footprint.json

With --fit, coefficients of peak memory (`nas/latency/footprint.py`) are fitted on these networks as well.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from nas.graph import Tracer, to_int8, to_onnx
from nas.latency.footprint import footprint, live_bytes
from nas.space import ArchManager, SearchSpace
from nas.timing import describe_device
from nas.timing.memory import measure_footprint

PRECISIONS = {"fp32": to_onnx, "int8": to_int8}


def measured(spaces: list[str], samples: int, seed: int) -> list[dict[str, Any]]:
    """One row for each network and precision: measured, predicted and what predictions are made of."""
    rows = []
    for name in spaces:
        space = SearchSpace.load(name)
        tracer = Tracer(space, "coco17")
        rng = np.random.default_rng(seed)
        manager = ArchManager(space)
        for arch in [manager.smallest(), manager.largest(), *(manager.sample(rng) for _ in range(samples))]:
            graph = tracer(arch)
            for precision, export in PRECISIONS.items():
                found = measure_footprint(export(graph).SerializeToString(), threads=1)
                guess = footprint(graph, precision=precision)
                rows.append(
                    {"space": name, "arch": arch.id, "precision": precision}
                    | found.to_json()
                    | {f"predicted_{key}": value for key, value in vars(guess).items()}
                    | {"live": live_bytes(graph, precision=precision)}
                )
            print(f"{name} {len(rows)}", flush=True)
    return rows


def errors(rows: list[dict[str, Any]], figure: str) -> dict[str, float]:
    """Mean and largest relative error of a prediction."""
    found = [abs(row[f"predicted_{figure}"] / row[figure] - 1) for row in rows]
    return {"mean": float(np.mean(found)), "largest": float(np.max(found))}


def fitted(rows: list[dict[str, Any]]) -> list[float]:
    """Coefficients of constant (bytes), file and live activations; relative errors are least."""
    matrix = np.array([[1e6, row["predicted_file_bytes"], row["live"]] for row in rows])
    peaks = np.array([row["peak_memory_bytes"] for row in rows])
    found, _ = nnls(matrix / peaks[:, None], np.ones(len(rows)))
    return [float(found[0] * 1e6), *map(float, found[1:])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--spaces", nargs="+", default=["person-crop", "litepose"])
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = measured(options.spaces, options.samples, options.seed)
    summary: dict[str, Any] = {"device": str(describe_device()), "networks": len(rows) // len(PRECISIONS)}
    for precision in PRECISIONS:
        of = [row for row in rows if row["precision"] == precision]
        summary[precision] = {figure: errors(of, figure) for figure in ("file_bytes", "peak_memory_bytes")}
        if options.fit:
            summary[precision]["coefficients"] = fitted(of)
    print(json.dumps(summary, indent=1))
    if options.out:
        options.out.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
