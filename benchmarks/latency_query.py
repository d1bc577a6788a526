"""How long it takes to ask a latency predictor about many architectures, tracing included, in one thread.

OMP_NUM_THREADS=1 python benchmarks/latency_query.py results/latency/litepose-coco17-predictor.json
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from nas.latency import LatencyPredictor
from nas.space import ArchManager, SearchSpace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("predictor", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    predictor = LatencyPredictor.load(options.predictor, allow_other_device=True)
    space = SearchSpace.from_json(predictor.spaces[0])
    rng = np.random.default_rng(options.seed)
    archs = [ArchManager(space).sample(rng) for _ in range(options.count)]
    start = time.perf_counter()
    predicted = predictor.predict_ms(archs)
    seconds = time.perf_counter() - start
    print(
        f"{options.count:,} architectures of {space.name} in {seconds:.1f} s "
        f"({1e3 * seconds / options.count:.2f} ms each), {predicted.min():.2f} to {predicted.max():.2f} ms; "
        f"onnxruntime imported: {'onnxruntime' in sys.modules}"
    )


if __name__ == "__main__":
    main()
