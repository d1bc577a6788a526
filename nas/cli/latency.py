"""`nas latency`: milliseconds of networks on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from nas.cli.console import err, print_json, print_table, remark, say
from nas.cli.latency_fit import fit
from nas.cli.latency_pack import import_, pack
from nas.cli.latency_predict import predict
from nas.cli.space import SkeletonOption
from nas.progress import duration

if TYPE_CHECKING:
    from nas.latency import Precision
    from nas.space import SearchSpace
    from nas.timing import Network, Plan, Step, Timing

app = typer.Typer()
app.command()(fit)
app.command()(predict)
app.command()(pack)
app.command(name="import")(import_)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads of onnxruntime.")]
PrecisionOption = Annotated[
    Literal["fp32", "int8"], typer.Option(help="What networks compute in; one table may hold both.")
]
VisitsOption = Annotated[int, typer.Option(min=1, help="Visits to every network.")]
SeedOption = Annotated[int, typer.Option(help="Seed of all random choices.")]


@app.callback()
def _latency() -> None:
    """Milliseconds on this machine: measure, fit, predict."""


@app.command()
def measure(
    space: Annotated[
        str, typer.Option(help="A shipped search space's name, a YAML file, or the folder of a run.")
    ],
    skeleton: Annotated[
        str | None,
        typer.Option(help="A shipped skeleton's name, or a YAML file; by default the run's, or coco17."),
    ] = None,
    threads: ThreadsOption = 1,
    precision: PrecisionOption = "fp32",
    samples: Annotated[int, typer.Option(min=1, help="Networks to time.")] = 30,
    table: Annotated[Path | None, typer.Option(help="JSON lines; continued where it exists.")] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(help="Arch JSON or shipped subnet that is timed along to check predictors on; repeat."),
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="Measure file sizes and peak memory too; takes longer.")
    ] = False,
    visits: VisitsOption = 5,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Time networks of a space on this machine into a table. Run again to continue after an interruption."""
    from nas.latency import measure_space
    from nas.space import Arch, Skeleton
    from nas.timing import Protocol

    loaded, skeleton, usual = _what_to_measure(space, skeleton, threads)
    path = table or usual
    display = VisitDisplay()
    try:
        with display:
            timings = measure_space(
                loaded,
                Skeleton.load(skeleton),
                samples=samples,
                table=path,
                threads=threads,
                precision=precision,
                memory=memory,
                checks={Path(name).stem: Arch.load(name) for name in check or ()},
                seed=seed,
                protocol=Protocol(visits=visits),
                progress=display,
            )
    except KeyboardInterrupt:
        remark(f"Stopped after {display.taken} visits. They are in {path}; the same command continues there.")
        raise
    if as_json:
        print_json({"table": str(path), "networks": [timing.to_json() for timing in timings]})
        return
    _print_timings(timings)
    say(f"\n{len(timings)} networks are in {path}. Next: nas latency fit {path}")


def _what_to_measure(space: str, skeleton: str | None, threads: int) -> tuple["SearchSpace", str, Path]:
    """Space, skeleton and usual table of a run's folder, or of a named space."""
    if Path(space).is_dir():
        from nas.runs import RunFolder

        run = RunFolder.open(Path(space))
        config = run.config()
        return config.load_space(), skeleton or config.skeleton, run.predictor_file.with_name("table.jsonl")
    from nas.files import one_component
    from nas.space import SearchSpace, Skeleton

    loaded, skeleton = SearchSpace.load(space), skeleton or "coco17"
    name = one_component(f"{loaded.name}-{Skeleton.load(skeleton).name}-{threads}t", "--space, --skeleton")
    return loaded, skeleton, Path("runs/latency") / f"{name}.jsonl"


@app.command(name="time")
def time_(
    networks: Annotated[list[str], typer.Argument(help="Arch JSONs, shipped subnets' names, or ONNX files.")],
    skeleton: SkeletonOption = "coco17",
    threads: ThreadsOption = 1,
    precision: Annotated[
        Literal["fp32", "int8", "both"],
        typer.Option(help="What architectures compute in (files as they are)."),
    ] = "fp32",
    visits: VisitsOption = 5,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Time given networks side by side, interleaved."""
    from nas.timing import Protocol, describe_device, ratio, time_networks

    precisions: Sequence[Precision] = ("fp32", "int8") if precision == "both" else (precision,)
    display = VisitDisplay()
    with display:
        timings = time_networks(
            [network for name in networks for network in _networks(name, skeleton, precisions=precisions)],
            threads=threads,
            seed=seed,
            protocol=Protocol(visits=visits),
            progress=display,
        )
    ratios = [ratio(timing, timings[0]) for timing in timings]
    device = describe_device(threads=threads)
    if as_json:
        rows = [
            {**timing.to_json(), "ratio": vars(found)} for timing, found in zip(timings, ratios, strict=True)
        ]
        print_json({"device": device.to_json(), "networks": rows})
        return
    say(str(device))
    _print_timings(timings)
    if len(timings) > 1:
        print_table(
            f"Ratio to {timings[0].name}, visit by visit",
            ("network", "median", "lowest", "highest"),
            ((t.name, r.median, r.low, r.high) for t, r in zip(timings[1:], ratios[1:], strict=True)),
        )


class VisitDisplay:
    """Shows on stderr how far measuring is: bar, rate and remaining time, and what was not quiet."""

    def __init__(self) -> None:
        self.taken = 0
        self._discarded = 0
        self._loaded = 0
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left", markup=False),
            TimeRemainingColumn(),
            console=err,
        )
        self._task = self._bar.add_task("visits", total=None, rate="")

    def __enter__(self) -> "VisitDisplay":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        if self._discarded:
            remark(
                f"{self._discarded} visits were discarded because other processes used the processor; "
                f"{self._loaded} were taken all the same and are flagged as loaded."
            )

    def begin(self, plan: "Plan") -> None:
        """Say what is coming."""
        if plan.visits and plan.seconds is not None:
            remark(f"{plan.visits} visits, about {duration(plan.seconds)} on an idle machine")
        if plan.uncontrolled:
            remark(f"Not under control here: {', '.join(plan.uncontrolled)}.")
        self._bar.update(self._task, total=plan.visits)

    def step(self, step: "Step") -> None:
        """Count one visit."""
        self.taken += not step.discarded
        self._discarded += step.discarded
        self._loaded += step.visit.loaded and not step.discarded
        speed = self._bar.tasks[0].speed
        rate = f"{speed:.1f}/s" if speed else ""
        self._bar.update(self._task, completed=self.taken, rate=rate, description=step.network.name)


def _networks(name: str, skeleton: str, *, precisions: "Sequence[Precision]") -> "list[Network]":
    from nas.space import Arch
    from nas.timing.networks import file_network

    if name.endswith(".onnx"):
        return [file_network(Path(name))]
    from nas.graph import Tracer
    from nas.latency import arch_network

    arch = Arch.load(name)
    tracer = Tracer(arch, skeleton)
    return [arch_network(arch, tracer, name=Path(name).stem, precision=precision) for precision in precisions]


def _print_timings(timings: "list[Timing]") -> None:
    print_table(
        None,
        ("network", "measured ms", "median", "95 %", "minimum", "CPU", "grouping", "remark"),
        (
            (
                timing.name,
                timing.measured_ms,
                timing.median_ms,
                timing.p95_ms,
                timing.minimum_ms,
                timing.cpu_ms,
                timing.outside_ms,
                "loaded" if timing.loaded else "",
            )
            for timing in timings
        ),
    )
