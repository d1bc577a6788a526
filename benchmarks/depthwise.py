"""Compiled depthwise convolutions and their weight gradients against torch's own.

    python benchmarks/depthwise.py [--batch 32] [--rounds 9] [--threads 1]

All run in turn on the same tensors, channels last, in random order within a round. Milliseconds are the
shortest of all rounds, ratios are medians of torch / compiled.
"""

import argparse
import json
import time
from datetime import date

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.layers.compiled.convolution import convolution, weight_gradient
from nas.timing import describe_device

SHAPES = (
    (64, 64, 48, 7, 1), (96, 64, 48, 7, 2), (128, 32, 24, 7, 1), (128, 32, 24, 5, 1),
    (384, 16, 12, 7, 1), (576, 8, 6, 7, 1),
)  # fmt: skip
"""Channels, height, width, kernel (px), stride."""


def compare(
    shape: tuple[int, ...], *, batch: int, rounds: int, rng: np.random.Generator
) -> dict[str, object]:
    channels, height, width, kernel, stride = shape
    x = torch.randn(batch, channels, height, width).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, 1, kernel, kernel)

    def forward() -> Tensor:
        return F.conv2d(x, weight, None, stride, kernel // 2, groups=channels)

    gradient = torch.randn_like(forward())

    def plain() -> None:
        torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [stride] * 2, [kernel // 2] * 2, [1, 1],
            False, [0, 0], channels, [False, True, False],
        )  # fmt: skip

    ways = {
        "forward_torch": forward,
        "forward_compiled": lambda: convolution(x, weight, stride),
        "gradient_torch": plain,
        "gradient_compiled": lambda: weight_gradient(x, gradient, kernel=kernel, stride=stride),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way in rng.permutation(list(ways)):
            start = time.perf_counter()
            ways[way]()
            times[way].append(1000 * (time.perf_counter() - start))
    kept = {way: values[1:] for way, values in times.items()}  # the first round compiles
    return {
        "shape": f"{channels}, {height}x{width}, {kernel}, {stride}",
        **{f"{way}_ms": round(min(values), 2) for way, values in kept.items()},
        **{
            f"{way}_ratio": round(
                float(np.median(np.divide(kept[f"{way}_torch"], kept[f"{way}_compiled"]))), 2
            )
            for way in ("forward", "gradient")
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rng = np.random.default_rng(0)
    result = {
        "date": str(date.today()),
        "machine": describe_device().cpu,
        "torch": torch.__version__,
        **vars(args),
        "results": [compare(shape, batch=args.batch, rounds=args.rounds, rng=rng) for shape in SHAPES],
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
