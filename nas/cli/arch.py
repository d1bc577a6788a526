"""`nas arch`: what one architecture is."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from nas.cli.console import print_json, print_table, say
from nas.cli.options import JsonOption
from nas.cli.space import SkeletonOption, counter

app = typer.Typer()


@app.callback()
def _arch() -> None:
    """Single architectures."""


@app.command()
def show(
    arch: Annotated[
        str, typer.Argument(help="An arch JSON (ours or LitePose's), or a shipped subnet's name.")
    ],
    skeleton: SkeletonOption = "coco17",
    as_json: JsonOption = False,
) -> None:
    """Stages, parameters and MACs of an architecture."""
    from nas.space import Arch

    loaded = Arch.load(arch)
    count = counter()
    size = None if count is None else count(loaded, skeleton)
    if as_json:
        figures = {
            "id": loaded.id,
            "skeleton": skeleton,
            "params": size and size.params,
            "macs": size and size.macs,
        }
        print_json(figures | {"arch": loaded.to_json()})
        return
    height, width = loaded.resolution
    say(f"{loaded.id}: input {height} x {width} (height x width)", style="bold")
    if size is not None:
        say(f"{size.params:,} parameters, {size.macs:,} MACs with skeleton {skeleton}\n")
    columns = ("part", "type", "stride", "width", "depth", "kernels", "expansions", "activation")
    print_table(None, columns, _rows(loaded), text_columns=2)


def _in_short(values: Sequence[int]) -> str:
    """Equal values as one, such as "7 x6"."""
    if len(values) > 1 and len(set(values)) == 1:
        return f"{values[0]} x{len(values)}"
    return " ".join(map(str, values))


def _rows(arch: Any) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        ("stem", arch.stem.type, None, arch.stem.width, None, None, None, arch.stem.activation)
    ]
    for number, stage in enumerate(arch.stages):
        kernels = _in_short([block.kernel for block in stage.blocks])
        expansions = _in_short([block.expansion for block in stage.blocks])
        rows.append(
            (
                f"stage {number}",
                stage.type,
                stage.stride,
                stage.width,
                stage.depth,
                kernels,
                expansions,
                stage.activation,
            )
        )
    if arch.neck.type != "none":
        widths = " ".join(map(str, arch.neck.widths))
        rows.append(("neck", arch.neck.type, None, widths, len(arch.neck.widths)))
        rows.append(("", arch.neck.upsampler))
    options = ", ".join(f"{name} {value}" for name, value in arch.head.options)
    rows.append(("head", f"{arch.head.type} ({options})" if options else arch.head.type))
    return rows
