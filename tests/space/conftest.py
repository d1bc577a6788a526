"""A space small enough to be enumerated, with everything that makes dimensions conditional."""

import itertools
from typing import Any

import pytest

from nas.space import Arch, ArchManager, SearchSpace, SpaceSpec


@pytest.fixture
def tiny_data() -> dict[str, Any]:
    """Plain data of a small crop space: two depths, two necks, two heads, one head option."""
    return {
        "name": "tiny",
        "task": "crop",
        "resolution": [[64, 48], [96, 64]],
        "stem": {"width": [8, 16], "activation": "relu"},
        "stages": [
            {
                "type": "mbconv",
                "activation": ["relu", "relu6"],
                "stride": 2,
                "width": 8,
                "depth": [1, 3],
                "kernel": [3, 5],
                "expansion": 2,
            },
            {
                "type": "mbconv",
                "activation": "relu",
                "stride": 2,
                "width": [8, 16],
                "depth": 1,
                "kernel": 3,
                "expansion": [2, 3],
            },
        ],
        "necks": {
            "none": {},
            "fusion_deconv": {"upsampler": ["nearest_dw", "deconv4x4"], "widths": [[8, 16]]},
        },
        "heads": {"heatmap": {}, "simcc": {"options": {"split": [1, 2]}}},
    }


@pytest.fixture
def tiny(tiny_data: dict[str, Any]) -> SearchSpace:
    return SearchSpace(SpaceSpec.read(tiny_data, "tiny.yaml"))


@pytest.fixture
def every_arch(tiny: SearchSpace) -> set[Arch]:
    names = [dimension.name for dimension in tiny.dimensions]
    indices = itertools.product(*(range(len(dimension.choices)) for dimension in tiny.dimensions))
    return {ArchManager(tiny).decode(dict(zip(names, values, strict=True))) for values in indices}
