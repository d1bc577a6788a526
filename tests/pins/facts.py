"""What must not change, as plain data: `python tests/pins/facts.py` writes it to `pinned/*.json`.

Written anew only where a change is meant: a new shipped space, another predictor.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import api
import numpy as np

PINNED = Path(__file__).with_name("pinned")
RESULTS = Path(__file__).parents[2] / "results" / "latency"
COSTED = ("any-head-crowd", "litepose-published", "movenet", "rtmpose")
EVERY = sorted(Path(__file__).with_name("fixtures").glob("every-*.yaml"))
"""Small spaces that hold every block type, neck and head between them."""


def digest(value: Any) -> str:
    """16 hex digits that change with anything in plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=False).encode()).hexdigest()[:16]


def subnets() -> dict[str, Any]:
    """Ids and content of all shipped subnets."""
    archs = {name: api.Arch.load(name) for name in api.subnet_names()}
    return {name: {"id": arch.id, "json": digest(arch.to_json())} for name, arch in archs.items()}


def spaces() -> dict[str, Any]:
    """Every shipped space: dimensions, samples, what is made of them, how they are encoded."""
    return {name: space(api.Space(name)) for name in api.space_names()}


def space(shipped: api.Space) -> dict[str, Any]:
    """One of them."""
    rng = np.random.default_rng(2024)
    archs = [shipped.sample(rng) for _ in range(1000)]
    some = archs[:100]
    mutated = [shipped.mutate(arch, rng, rate=rate) for arch in some for rate in (0.1, 0.5)]
    crossed = [shipped.crossover(*pair, rng) for pair in zip(some, reversed(some), strict=True)]
    codes = [shipped.encode(arch) for arch in (*some, *mutated[:50], *crossed[:50])]
    ends = [
        arch.id
        for head in shipped.space.heads
        for resolution in shipped.space.resolutions
        for arch in shipped.ends(head=head, resolution=resolution)
    ]
    return {
        "size": str(shipped.space.size),
        "dimensions": [
            f"{dimension.name}: {', '.join(map(str, dimension.choices))}"
            for dimension in shipped.space.dimensions
        ],
        "json": digest(shipped.space.to_json()),
        "published": {name: arch.id for name, arch in shipped.space.published().items()},
        "ends": digest(ends),
        "first samples": [arch.id for arch in archs[:4]],
        "samples": digest([arch.id for arch in archs]),
        "sample as JSON": digest([arch.to_json() for arch in some]),
        "mutated": digest([arch.id for arch in mutated]),
        "crossed": digest([arch.id for arch in crossed]),
        "first code": {name: int(index) for name, index in codes[0].items()},
        "codes": digest([[[name, int(index)] for name, index in code.items()] for code in codes]),
    }


def plans() -> dict[str, Any]:
    """The first steps of seeded trainings."""
    found = {}
    for name, draws in (("demo", (False, True)), ("any-head-crop", (False,)), ("movenet", (False,))):
        for pooled in draws:
            plan = api.planner(api.Space(name), seed=7, pooled=pooled)
            steps = [plan(step) for step in range(8)]
            found[f"{name}, {'pool' if pooled else 'uniform'}"] = {
                "indices": [list(step.indices) for step in steps[:2]],
                "archs": [[arch.id for arch in step.archs] for step in steps[:2]],
                "digests": [step.digest for step in steps],
                "requests": digest([_request(r) for step in steps for r in step.requests(1, 2)]),
            }
    return found


def _request(request: Any) -> list[Any]:
    head = [request.head.type, list(request.head.options)]
    return [
        int(request.index), list(request.seed), list(request.resolution), head, list(request.strides),
        request.late,
    ]  # fmt: skip


def costs() -> dict[str, Any]:
    """MACs and parameters of published subnets and of samples, over all kinds of blocks, necks and heads."""
    found: dict[str, Any] = {}
    for name in COSTED:
        space = api.Space(name)
        cost = api.macs_and_params(space)
        rng = np.random.default_rng(11)
        archs = [*space.space.published().values(), *(space.sample(rng) for _ in range(2))]
        found[name] = [[arch.id, *map(int, cost(arch))] for arch in archs]
    return found


def latency() -> dict[str, Any]:
    """Predictions of the committed predictors, to the bit."""
    found: dict[str, Any] = {"arithmetic": _arithmetic()}
    for path in sorted(RESULTS.rglob("*-predictor.json")):
        predictor = api.predictor(path)
        shipped = api.Space(path.name.partition("-coco17")[0])
        tracer = api.tracer(shipped)
        rng = np.random.default_rng(5)
        archs = [*shipped.ends(), *(shipped.sample(rng) for _ in range(4))]
        kernels = predictor.kernel_ms(archs[2], tracer=tracer)
        found[path.relative_to(RESULTS).as_posix()] = {
            "ms": _hex(predictor.predict_ms(archs, tracer=tracer)),
            "interval": _hex(predictor.interval_ms(archs, tracer=tracer).ravel()),
            "total": _hex(predictor.total_ms(archs, people=4, tracer=tracer)),
            "kernels": digest([[scope, str(kernel.kind)] for scope, kernel, _ in kernels]),
            "kernel ms": _hex(ms for _, _, ms in kernels),
        }
    return found


def _arithmetic() -> str:
    """Which exponentials, logarithms and products this machine's numpy computes: they differ in last bits."""
    x = np.random.default_rng(0).uniform(1e-3, 10, (64, 64))
    parts = (np.exp(x), np.log(x), np.sqrt(x), x @ x, x.sum(axis=0))
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]


def _hex(values: Iterable[float]) -> list[str]:
    return [float(value).hex() for value in values]


def weights() -> dict[str, Any]:
    """Names and shapes of supernets' weights, and what archs inherit of them."""
    found: dict[str, Any] = {}
    for name in api.space_names():
        shapes = api.parameter_shapes(name)
        found[name] = {"tensors": len(shapes), "shapes": digest(sorted(shapes.items()))}
    for path in EVERY:
        net = api.supernet(path)
        found[path.stem] = {arch.id: inherited(net, arch) for arch in transferred(path)}
    return found


def transferred(path: Path) -> list[api.Arch]:
    """Archs of a space, of every head."""
    shipped = api.Space(path)
    rng = np.random.default_rng(3)
    return [shipped.sample(rng, head=head) for head in shipped.space.heads for _ in range(2)]


def inherited(net: api.PoseNet, arch: api.Arch) -> str:
    """A digest of the parameters that an arch inherits from a supernet."""
    hasher = hashlib.sha256()
    for key, tensor in sorted(api.active_parameters(net, arch).items()):
        # Interpolated layers hold fractions; whole numbers stay exact.
        whole = np.round(tensor.numpy().astype(np.float64) * 1024).astype(np.int64)
        hasher.update(f"{key} {tuple(whole.shape)} {tensor.dtype}".encode() + whole.tobytes())
    return hasher.hexdigest()[:16]


def commands() -> dict[str, Any]:
    """Every command with its flags."""
    return dict(api.commands())


FACTS: dict[str, Callable[[], dict[str, Any]]] = {
    "commands": commands,
    "costs": costs,
    "latency": latency,
    "plans": plans,
    "spaces": spaces,
    "subnets": subnets,
    "weights": weights,
}

if __name__ == "__main__":
    PINNED.mkdir(exist_ok=True)
    for name, facts in FACTS.items():
        (PINNED / f"{name}.json").write_text(json.dumps(facts(), indent=1) + "\n")
