"""Forward and backward of a supernet at one architecture against the static network of that architecture.

    python benchmarks/supernet_step.py [--pairs 30] [--batch 4] [--threads 2]

The two run in turn, pair by pair, in random order within a pair; the figure is the median of the ratios
supernet / static with a bootstrap interval (95 %).
"""

import argparse
import json
import time
from datetime import date

import numpy as np
import torch
from ratios import median_of

from nas.models import PoseNet
from nas.space.arch import Arch
from nas.space.manager import ArchManager
from nas.space.space import SearchSpace
from nas.timing import describe_device


def seconds(net: PoseNet, arch: Arch, images: torch.Tensor) -> float:
    net.zero_grad(set_to_none=True)
    start = time.perf_counter()
    outputs = net(images, arch)
    sum(out.square().mean() for out in outputs.values()).backward()  # type: ignore[union-attr]
    return time.perf_counter() - start


def ratios(supernet: PoseNet, arch: Arch, *, pairs: int, batch: int, rng: np.random.Generator) -> np.ndarray:
    static = PoseNet(arch, supernet.skeleton).to(memory_format=torch.channels_last).train()
    images = torch.randn(batch, 3, *arch.resolution).to(memory_format=torch.channels_last)
    for net in (supernet, static, supernet, static):
        seconds(net, arch, images)
    found = []
    for _ in range(pairs):
        times = {}
        for name in rng.permutation(["supernet", "static"]):
            times[name] = seconds(supernet if name == "supernet" else static, arch, images)
        found.append(times["supernet"] / times["static"])
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="litepose")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rng = np.random.default_rng(0)
    space = SearchSpace.load(args.space)
    manager = ArchManager(space)
    supernet = PoseNet(space, "coco17").to(memory_format=torch.channels_last).train()
    resolution = space.resolutions[0]
    archs = {
        "largest": manager.largest(resolution=resolution),
        "smallest": manager.smallest(resolution=resolution),
        **{name: arch for name, arch in space.published().items() if name.endswith("xs")},
    }
    result = {
        "date": str(date.today()),
        "machine": describe_device().cpu,
        "torch": torch.__version__,
        **vars(args),
        "ratios": {},
    }
    for name, arch in archs.items():
        result["ratios"][name] = median_of(
            ratios(supernet, arch, pairs=args.pairs, batch=args.batch, rng=rng)
        )
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
