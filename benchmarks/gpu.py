"""Training on a GPU: parity with the CPU, speed, memory, utilisation, bf16, torch.compile; under 6 minutes.

    python benchmarks/gpu.py --out results/benchmarks/gpu

A step is that of `nas train`: a sandwich of the space's networks with distillation, clipping, one update of
weights and average, on noise with made-up people. No loader takes part: what is measured is the device. What
is compared is timed in turn, in random order within a round; figures are medians. Parity is measured without
TF32, all else with torch's defaults, as training runs.

Each section stands alone: where one fails a line says so, the others go on, and the exit code is 1. Results
go to `gpu.json` and `gpu.md`. Without a GPU, small settings try the script itself:

    python benchmarks/gpu.py --device cpu --space demo --resolution 96 64 --batch 4 --parity-batch 2 --steps 2
"""

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from gpu_device import GIB, Utilisation, allocated, describe_gpu, in_turn, line_of, peak, without_tf32
from gpu_step import PRECISIONS, Bench
from torch import Tensor

from nas.arrays import Floats
from nas.graph import Tracer
from nas.runs.environment import environment
from nas.space import SearchSpace, Skeleton
from nas.train.compilation import compile_network

Figures = dict[str, Any]

# How far the device's fp32 may be from the CPU's.
OUTPUT_LIMIT = 1e-3
"""Of a network's outputs, relative to the largest: sums of some thousand products in another order."""
LOSS_LIMIT = 1e-3
"""Of the losses of a step, relative to each."""
GRADIENT_LIMIT = 2e-2
"""Of all gradients of a step as one vector, relative to its length: rectifiers near 0 open or close."""


def forward_parity(bench: Bench) -> Figures:
    """Outputs of the largest and the smallest network against the CPU's, with statistics of the batch."""
    trainers = [bench.trainer(device=device) for device in ("cpu", bench.device)]
    errors = {}
    for name, arch in zip(("largest", "smallest"), bench.plan.archs, strict=False):
        outputs = []
        for trainer, device in zip(trainers, ("cpu", bench.device), strict=True):
            images = bench.part(bench.plan, device=device, count=bench.parity_batch).images
            with torch.no_grad(), without_tf32():
                outputs.append(trainer.state.net(images, arch))
        expected, found = outputs
        errors[name] = max(
            float((found[key].cpu() - expected[key]).abs().max() / expected[key].abs().max())
            for key in expected
        )
    return {
        **{f"{name}_error": error for name, error in errors.items()},
        "limit": OUTPUT_LIMIT,
        "within": max(errors.values()) <= OUTPUT_LIMIT,
    }


def step_parity(bench: Bench) -> Figures:
    """Losses, gradients and the update of one step against the CPU's."""
    losses, gradients, moves = [], [], []
    for device in ("cpu", bench.device):
        trainer = bench.trainer(device=device)
        parameters = trainer.state.parameters()
        before = _vector(parameters)
        part = bench.part(bench.plan, device=device, count=bench.parity_batch)
        with without_tf32():
            losses.append(trainer.step(bench.plan, [part]))
        gradients.append(_vector([p.grad for p in parameters if p.grad is not None]))
        moves.append(_vector(parameters) - before)
    expected, found = losses
    loss_error = max(abs(found[name] / value - 1) for name, value in expected.items())
    gradient_error = _distance(*gradients)
    return {
        "loss_error": loss_error,
        "loss_limit": LOSS_LIMIT,
        "gradient_error": gradient_error,
        "gradient_limit": GRADIENT_LIMIT,
        # Told, not judged: in Adam's first step a weight moves as far by rounding alone as by any gradient.
        "update_error": _distance(*moves),
        "within": loss_error <= LOSS_LIMIT and gradient_error <= GRADIENT_LIMIT,
    }


def training(bench: Bench) -> Figures:
    """Speed, memory and utilisation of training in fp32."""
    way = Way(bench, "fp32")
    with Utilisation(bench.device) as utilisation:
        way.time(in_turn([way.step], bench.steps, bench.device)[0])
    return {**way.figures(), **utilisation.figures()}


def half_precision(bench: Bench) -> Figures:
    """bf16 against fp32, in turn."""
    ways = [Way(bench, precision) for precision in PRECISIONS]
    first = [way.losses for way in ways]
    times = in_turn([way.step for way in ways], bench.steps, bench.device)
    found: Figures = {}
    for way, seconds in zip(ways, times, strict=True):
        way.time(seconds)
        found |= {f"{way.precision}_{name}": value for name, value in way.figures().items()}
    return {
        **found,
        "times_faster": statistics.median(times[0] / times[1]),
        "first_losses_differ_by": max(abs(first[1][name] / value - 1) for name, value in first[0].items()),
    }


def compiled(bench: Bench) -> Figures:
    """torch.compile against eager: a fine-tuning step of one network in fp32, in turn."""
    part = bench.part(bench.single, device=bench.device)
    eager, quick = bench.single_trainer(), bench.single_trainer()
    started = time.perf_counter()
    compile_network(quick.state.net, batch=bench.batch, fabric=quick.fabric)
    compiling = time.perf_counter() - started
    first = [trainer.step(bench.single, [part]) for trainer in (eager, quick)]
    steps = [lambda trainer=trainer: trainer.step(bench.single, [part]) for trainer in (eager, quick)]
    times = in_turn(steps, bench.steps, bench.device)
    return {
        "network": bench.single.archs[0].id,
        "compile_seconds": compiling,
        "eager_images_per_second": bench.batch / statistics.median(times[0]),
        "compiled_images_per_second": bench.batch / statistics.median(times[1]),
        "times_faster": statistics.median(times[0] / times[1]),
        "first_losses_differ_by": max(abs(first[1][name] / value - 1) for name, value in first[0].items()),
    }


SECTIONS: dict[str, Callable[[Bench], Figures]] = {
    "forward": forward_parity,
    "step": step_parity,
    "training": training,
    "bf16": half_precision,
    "compile": compiled,
}


class Way:
    """Training of the supernet in one precision, its first step taken."""

    def __init__(self, bench: Bench, precision: str) -> None:
        self.precision = precision
        self._bench = bench
        held = allocated(bench.device)
        self._trainer = bench.trainer(device=bench.device, precision=precision)
        self._part = bench.part(bench.plan, device=bench.device)
        self.losses = self.step()
        self._peak = peak(bench.device) - held
        self._seconds = 0.0

    def step(self) -> dict[str, float]:
        return self._trainer.step(self._bench.plan, [self._part])

    def time(self, seconds: Floats) -> None:
        self._seconds = statistics.median(seconds)

    def figures(self) -> Figures:
        """Of operations a multiplication and an addition each count, and backward as two forwards."""
        tracer = Tracer(self._bench.space, self._bench.skeleton)
        macs = self._bench.batch * sum(tracer(arch).macs for arch in self._bench.plan.archs)
        return {
            "step_ms": 1e3 * self._seconds,
            "images_per_second": self._bench.batch / self._seconds,
            "tflops": 6e-12 * macs / self._seconds,
            "peak_memory_gib": self._peak / GIB if self._bench.device == "cuda" else None,
        }


def _vector(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().cpu().double().flatten() for tensor in tensors])


def _distance(expected: Tensor, found: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def measured(bench: Bench, names: Sequence[str], *, limit: float) -> dict[str, Figures]:
    """The figures of each section, or why there are none; no section begins after `limit` seconds."""
    began = time.perf_counter()
    found: dict[str, Figures] = {}
    for name in names:
        started = time.perf_counter()
        try:
            if started - began > limit:
                raise TimeoutError(f"not begun: {limit:.0f} s had passed")
            found[name] = SECTIONS[name](bench)
        # Whatever it is, the sections after it are worth their time.
        except Exception as error:
            found[name] = {"failed": f"{type(error).__name__}: {line_of(error)}"}
        found[name]["seconds"] = time.perf_counter() - started
        print(f"{name}: {told(found[name])}", flush=True)
        gc.collect()
        if bench.device == "cuda":
            torch.cuda.empty_cache()
    return found


def told(figures: Figures) -> str:
    """One line: what failed, or all figures."""
    if "failed" in figures:
        return f"FAILED, {figures['failed']}"
    outside = "" if figures.get("within", True) else "OUTSIDE ITS LIMIT, "
    return outside + ", ".join(f"{name} {_shown(value)}" for name, value in figures.items())


def is_good(figures: Figures) -> bool:
    return "failed" not in figures and bool(figures.get("within", True))


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def table(facts: Mapping[str, Any], sections: Mapping[str, Figures]) -> str:
    """The results as Markdown."""
    lines = [
        "# Training on a GPU",
        "",
        f"{facts['date']}, {facts['machine']}, torch {facts['torch']}: `{facts['space']}` at "
        f"{facts['resolution'][0]}x{facts['resolution'][1]}, batch {facts['batch']}, "
        f"{facts['networks']} networks a step, {facts['steps']} steps of each way.",
        "",
        f"    {facts['command']}",
        "",
        "| section | figure | |",
        "|---|---|---|",
    ]
    lines += [
        f"| {section} | {name} | {_shown(value)} |"
        for section, figures in sections.items()
        for name, value in figures.items()
    ]
    return "\n".join(lines) + "\n"


def described(bench: Bench) -> Figures:
    """Machine, date and settings."""
    known = environment()
    gpu = describe_gpu() if bench.device == "cuda" else None
    cpu = f"{known['processor']}, {known['cores']} cores"
    script, *flags = known["command"]
    return {
        "date": known["started"][:10],
        "machine": f"{gpu['name']} (driver {gpu['driver']}, CUDA {gpu['cuda']}), {cpu}" if gpu else cpu,
        "torch": torch.__version__,
        "command": " ".join(["python", f"benchmarks/{Path(script).name}", *flags]),
        "gpu": gpu,
        "space": bench.space.name,
        "resolution": list(bench.plan.archs[0].resolution),
        "batch": bench.batch,
        "parity_batch": bench.parity_batch,
        "steps": bench.steps,
        "networks": len(bench.plan.archs),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 where a section failed or is outside its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/gpu"))
    parser.add_argument("--space", default="litepose")
    parser.add_argument("--skeleton", default="coco17")
    parser.add_argument("--resolution", type=int, nargs=2, default=(256, 256), metavar=("H", "W"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--parity-batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--random", type=int, default=2)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--sections", nargs="+", choices=tuple(SECTIONS), default=tuple(SECTIONS))
    parser.add_argument("--limit-s", type=float, default=240, help="no section begins later")
    args = parser.parse_args(arguments)
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no GPU here; --device cpu tries the script")
    bench = Bench(
        space=SearchSpace.load(args.space).narrow(resolutions=(tuple(args.resolution),)),
        skeleton=Skeleton.load(args.skeleton),
        device=args.device,
        batch=args.batch,
        parity_batch=args.parity_batch,
        steps=args.steps,
        random=args.random,
    )
    sections = measured(bench, args.sections, limit=args.limit_s)
    facts = described(bench)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "gpu.json").write_text(json.dumps(facts | {"sections": sections}, indent=2) + "\n")
    (args.out / "gpu.md").write_text(table(facts, sections))
    return 0 if all(map(is_good, sections.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
