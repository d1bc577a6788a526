"""A tiny space and a recipe that trains in a second."""

from collections.abc import Callable
from typing import Any

from nas.train.config import SupernetConfig

RecipeMaker = Callable[..., SupernetConfig]

TIMINGS = frozenset({"images_per_second", "data_wait"})
"""Metrics that differ from run to run."""

STAGE = {
    "type": "mbconv",
    "activation": "relu",
    "stride": 2,
    "depth": [1, 2],
    "kernel": [3, 5],
    "expansion": 2,
}

SPACE: dict[str, Any] = {
    "name": "tiny",
    "task": "crop",
    "resolution": [[32, 32], [48, 32]],
    "stem": {"width": 8, "activation": "relu"},
    "stages": [
        {**STAGE, "width": [8, 16]},
        {**STAGE, "width": [8, 16]},
        {**STAGE, "width": [16], "depth": 1},
    ],
    "necks": {
        "none": {},
        "fusion_deconv": {"upsampler": ["nearest_dw", "deconv2x2"], "widths": [[8, 16], 8]},
    },
    "heads": {"simcc": {"neck": "none"}, "heatmap": {"neck": "fusion_deconv"}},
}

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "skeleton": "coco17",
    "steps": 12,
    "batch": 4,
    "optimizer": {"lr": 1e-3},
    "schedule": {"warmup": 2},
    "ema": {"decay": 0.9},
    "sampling": {"pool": 60, "bins": 4},
    "distillation": {"weight": 0.5, "ramp": 4},
    "accelerator": "cpu",
    "threads": 1,
    "log_every": 3,
    "checkpoint": {"every": 3, "keep": 2},
    "calibration": {"images": 8, "batch": 4},
    "finetune": {"steps": 4, "batch": 4, "schedule": {"warmup": 1}},
}
