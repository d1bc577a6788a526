"""Made-up figures of a diagnosis."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas.search.diagnosis.picking import PickedNetwork
from nas.search.diagnosis.results import diagnosis_figures
from nas.space import ArchManager, SearchSpace


def made_up_figures(
    *,
    networks: int = 12,
    seeds: int = 2,
    noise: float = 0.005,
    binned: bool = True,
    heads: Sequence[str] = (),
) -> dict[str, Any]:
    """Of networks whose accuracy alone grows with what they inherit, but for noise."""
    rng = np.random.default_rng(0)
    space = SearchSpace.load("demo")
    space = space.narrow(heads=heads) if heads else space
    archs = list(dict.fromkeys(ArchManager(space).sample(rng) for _ in range(networks)))
    picked = [
        PickedNetwork(arch, 1 + place, (place + 1) * 10**6, place % 2 if binned and place % 3 else None)
        for place, arch in enumerate(archs)
    ]
    inherited = {
        arch.id: float(value) for arch, value in zip(archs, rng.uniform(0.1, 0.2, networks), strict=True)
    }
    alone = {
        arch.id: [inherited[arch.id] + 0.2 + noise * rng.normal() for _ in range(seeds)] for arch in archs
    }
    return {
        "metric": "AP",
        "space": "demo",
        "images": 64000,
        "bin_width": 0.04,
        "planned": {"networks": networks, "seeds": seeds},
        **diagnosis_figures(picked, inherited, alone),
    }
