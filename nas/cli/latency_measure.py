"""`nas latency measure` and `time`: milliseconds of networks on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nas.cli.console import print_json, print_table, remark, say
from nas.cli.latency_display import VisitDisplay, print_timings
from nas.cli.latency_inputs import (
    PrecisionOption,
    RunSkeletonOption,
    ThreadsOption,
    VisitsOption,
    networks_of,
    what_to_measure,
)
from nas.cli.options import JsonOption, SeedOption
from nas.cli.space import SkeletonOption

if TYPE_CHECKING:
    from nas.latency import Precision


def measure(
    space: Annotated[
        str, typer.Option(help="A shipped search space's name, a YAML file, or the folder of a run.")
    ],
    skeleton: RunSkeletonOption = None,
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

    loaded, skeleton, usual = what_to_measure(space, skeleton, threads)
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
    print_timings(timings)
    say(f"\n{len(timings)} networks are in {path}. Next: nas latency fit {path}")


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
    with VisitDisplay() as display:
        timings = time_networks(
            [network for name in networks for network in networks_of(name, skeleton, precisions=precisions)],
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
    print_timings(timings)
    if len(timings) > 1:
        print_table(
            f"Ratio to {timings[0].name}, visit by visit",
            ("network", "median", "lowest", "highest"),
            ((t.name, r.median, r.low, r.high) for t, r in zip(timings[1:], ratios[1:], strict=True)),
        )
