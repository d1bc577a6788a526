"""What `nas latency` is given: spaces, run folders, architectures and ONNX files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from nas.latency import Precision
    from nas.space import SearchSpace
    from nas.timing import Network

ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads of onnxruntime.")]
PrecisionOption = Annotated[
    Literal["fp32", "int8"], typer.Option(help="What networks compute in; one table may hold both.")
]
RunSkeletonOption = Annotated[
    str | None,
    typer.Option(help="A shipped skeleton's name, or a YAML file; by default the run's, or coco17."),
]
VisitsOption = Annotated[int, typer.Option(min=1, help="Visits to every network.")]


def what_to_measure(space: str, skeleton: str | None, threads: int) -> tuple["SearchSpace", str, Path]:
    """Space, skeleton and usual table of a run's folder, or of a named space."""
    if Path(space).is_dir():
        from nas.runs import RunFolder

        run = RunFolder.open(Path(space))
        config = run.config()
        return config.load_space(), skeleton or config.skeleton, run.table_file
    from nas.files import one_component
    from nas.space import SearchSpace, Skeleton

    loaded, skeleton = SearchSpace.load(space), skeleton or "coco17"
    name = one_component(f"{loaded.name}-{Skeleton.load(skeleton).name}-{threads}t", "--space, --skeleton")
    return loaded, skeleton, Path("runs/latency") / f"{name}.jsonl"


def networks_of(name: str, skeleton: str, *, precisions: "Sequence[Precision]") -> "list[Network]":
    """An architecture in each of the precisions, or an ONNX file, which may be one that ships, as it is."""
    from nas.shipped import network_file, shipped_names
    from nas.space import Arch
    from nas.timing.networks import file_network

    if name.endswith(".onnx") or name in shipped_names("subnets", ".onnx"):
        return [file_network(network_file(name))]
    from nas.graph import Tracer
    from nas.latency import arch_network

    arch = Arch.load(name)
    tracer = Tracer(arch, skeleton)
    return [arch_network(arch, tracer, name=Path(name).stem, precision=precision) for precision in precisions]
