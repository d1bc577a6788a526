"""`nas space`: what a search space holds."""

from typing import Annotated, Any

import typer

from nas.cli.console import print_json, print_table, remark, say
from nas.cli.extras import how_to_install
from nas.cli.options import JsonOption

app = typer.Typer()

SkeletonOption = Annotated[
    str,
    typer.Option(
        "--skeleton", help="coco17, crowdpose14, mpii16 or a YAML file; the head's size depends on it."
    ),
]


@app.callback()
def _space() -> None:
    """Search spaces."""


@app.command()
def show(
    space: Annotated[str, typer.Argument(help="A shipped search space's name, or a YAML file.")],
    skeleton: SkeletonOption = "coco17",
    samples: Annotated[int, typer.Option(min=1, help="Networks drawn to find the median.")] = 301,
    seed: Annotated[int, typer.Option(min=0, help="Seed of that draw.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Size of a space, its smallest, median and largest network, and every dimension."""
    from nas.space import SearchSpace

    loaded = SearchSpace.load(space)
    networks = _networks(loaded, skeleton, samples=samples, seed=seed)
    if as_json:
        dimensions = {dimension.name: list(dimension.choices) for dimension in loaded.dimensions}
        print_json(
            {
                "name": loaded.name,
                "task": loaded.task,
                "size": loaded.size,
                "skeleton": skeleton,
                "samples": samples,
                "networks": networks,
                "dimensions": dimensions,
            }
        )
        return
    say(f"{loaded.name}: {loaded.size:,} networks ({loaded.size:.2e}), task: {loaded.task}\n", style="bold")
    by = f"; the median is by MACs, of {samples} random ones" if "median" in networks else ""
    print_table(
        f"Networks for {skeleton}{by}",
        ("network", "resolution", "head", "parameters", "MACs"),
        (
            (
                name,
                "x".join(map(str, network["resolution"])),
                network["head"],
                network["params"],
                network["macs"],
            )
            for name, network in networks.items()
        ),
        text_columns=3,
    )
    say()
    print_table(
        f"{len(loaded.dimensions)} dimensions",
        ("dimension", "choices"),
        ((dimension.name, _choices(dimension.choices)) for dimension in loaded.dimensions),
        text_columns=2,
    )


def _networks(space: Any, skeleton: str, *, samples: int, seed: int) -> dict[str, dict[str, Any]]:
    """The smallest, the median by MACs, and the largest network, with their sizes where torch can tell."""
    import numpy as np

    from nas.space import ArchManager

    manager = ArchManager(space)
    count = counter()
    if count is None:
        ends = {"smallest": manager.smallest(), "largest": manager.largest()}
        return {name: _network(arch, None) for name, arch in ends.items()}
    rng = np.random.default_rng(seed)
    drawn = [manager.sample(rng) for _ in range(samples)]
    median = sorted(drawn, key=lambda arch: count(arch, skeleton, space=space).macs)[samples // 2]
    rows = {"smallest": manager.smallest(), "median": median, "largest": manager.largest()}
    return {name: _network(arch, count(arch, skeleton, space=space)) for name, arch in rows.items()}


def counter() -> Any | None:
    """`nas.graph.complexity`; None, with a remark, where torch is not installed."""
    try:
        from nas.graph import complexity
    except ModuleNotFoundError as error:
        commands = how_to_install(error.name or "")
        if commands is None:
            raise
        remark(f"Parameters and MACs are counted by tracing networks, which needs {error.name}: {commands}")
        return None
    return complexity


def _network(arch: Any, size: Any | None) -> dict[str, Any]:
    return {
        "id": arch.id,
        "resolution": list(arch.resolution),
        "head": arch.head.type,
        "params": size and size.params,
        "macs": size and size.macs,
    }


def _choices(choices: Any) -> str:
    return "  ".join(
        "x".join(map(str, choice)) if isinstance(choice, tuple) else str(choice) for choice in choices
    )
