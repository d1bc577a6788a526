"""How long tracing takes per architecture of a space, and building the ONNX model that is timed.

    python benchmarks/tracer.py [--space litepose] [--archs 10000] [--exports 30]

Architectures are drawn at random and each is traced once by one tracer, which starts with nothing
remembered; the first graphs take long, later ones are put together from what was recorded. Wall and CPU time
are both printed: on a busy machine they differ.
"""

import argparse
import time
from datetime import date

import numpy as np

from nas.graph import Tracer, to_onnx
from nas.space.arch import Arch
from nas.space.manager import ArchManager
from nas.space.space import SearchSpace
from nas.timing import describe_device


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--space", default="litepose")
    parser.add_argument("--skeleton", default="coco17")
    parser.add_argument("--archs", type=int, default=10_000)
    parser.add_argument("--exports", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    space = SearchSpace.load(given.space)
    rng = np.random.default_rng(given.seed)
    archs = [ArchManager(space).sample(rng) for _ in range(given.archs)]

    start = time.perf_counter()
    tracer = Tracer(space, given.skeleton)
    print(f"{given.space}, {describe_device().cpu}, {date.today()}")
    print(f"  network on the meta device       {time.perf_counter() - start:8.2f} s")

    wall, cpu = time.perf_counter(), time.process_time()
    for arch in archs:
        tracer(arch)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    each = 1e3 / len(archs)
    print(f"  tracing, mean of {len(archs):6d} archs   {wall * each:8.2f} ms wall {cpu * each:8.2f} ms CPU")

    seconds = np.array([_onnx_seconds(tracer, arch) for arch in archs[: given.exports]])
    median, slowest = np.median(seconds) * 1e3, seconds.max() * 1e3
    print(
        f"  to_onnx of {len(seconds):3d}, arbitrary weights {median:7.1f} ms median {slowest:8.1f} ms slowest"
    )


def _onnx_seconds(tracer: Tracer, arch: Arch) -> float:
    graph = tracer(arch)
    start = time.perf_counter()
    to_onnx(graph).SerializeToString()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
