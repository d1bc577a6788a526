"""`nas latency pack` and `import`: milliseconds on another device."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nas.cli.console import print_json, remark, say
from nas.cli.latency_display import print_timings
from nas.cli.latency_inputs import (
    RunSkeletonOption,
    VisitsOption,
    networks_of,
    what_to_measure,
)
from nas.cli.options import JsonOption, SeedOption
from nas.errors import UserError

if TYPE_CHECKING:
    from nas.latency import Precision
    from nas.timing import Network
    from nas.timing.pack_import import TableImport
    from nas.timing.table import Source


def pack(
    networks: Annotated[
        list[str] | None, typer.Argument(help="Arch JSONs, shipped subnets' names, or ONNX files to add.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="A shipped search space's name, a YAML file, or the folder of a run.")
    ] = None,
    skeleton: RunSkeletonOption = None,
    samples: Annotated[int, typer.Option(min=1, help="Networks to draw from the space.")] = 30,
    threads: Annotated[int, typer.Option(min=1, help="Threads of onnxruntime on the device.")] = 1,
    precision: Annotated[
        Literal["fp32", "int8"], typer.Option(help="What architectures compute in (files as they are).")
    ] = "fp32",
    visits: VisitsOption = 5,
    folder: Annotated[
        Path | None, typer.Option("--out", help="A new folder; by default under runs/latency/.")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Make a folder that times networks on another device: a Raspberry Pi, a phone, a server."""
    from nas.timing import Protocol
    from nas.timing.manifest import PROGRAM
    from nas.timing.pack import needed_packages, write_pack
    from nas.timing.pack_import import USUAL_FOLDER, table_name

    if space is None and not networks:
        raise UserError("nothing to pack: give --space, or architectures or ONNX files")
    chosen, sources = _drawn(space, skeleton, threads, samples, seed, precision) if space else ([], [])
    chosen += _given(networks or [], skeleton, precision)
    folder = folder or USUAL_FOLDER / f"pack-{table_name(sources, threads)}"
    manifest = write_pack(
        folder, chosen, sources=sources, protocol=Protocol(visits=visits), threads=threads, seed=seed
    )
    packages = needed_packages(manifest)
    if as_json:
        names = [network.name for network in manifest.networks]
        print_json({"pack": str(folder), "networks": names, "needs": packages})
        return
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    say(f"{len(manifest.networks)} networks are in {folder} ({size / 1e6:.1f} MB).")
    say(f"Copy it to the device, install {', '.join(packages)} for Python 3.11 or newer there, and run:")
    say(f"    python {PROGRAM}")
    say(f"Then copy the table back: nas latency import TABLE --pack {folder}")


def import_(
    path: Annotated[
        Path, typer.Argument(metavar="TABLE", help="The table that was copied back from the device.")
    ],
    pack: Annotated[
        Path | None, typer.Option(help="The pack that made it; its networks are compared.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="Where to; by default under runs/latency/.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a table from another device and take it in; visits of an earlier import are added to."""
    from nas.timing.pack_import import import_table

    imported = import_table(path, pack=pack, table=table)
    timings = imported.table.timings()
    _tell_gaps(imported, compared=pack is not None)
    if as_json:
        found = {"table": str(imported.table.path), "added_visits": imported.added}
        device = imported.table.device.to_json()
        networks = [timing.to_json() for timing in timings]
        print_json({**found, "incomplete": imported.incomplete, "device": device, "networks": networks})
        return
    say(str(imported.table.device))
    print_timings(timings)
    say(f"\n{imported.added} new visits; {len(timings)} networks are in {imported.table.path}.")
    if imported.table.sources:
        say(f"Next: nas latency fit {imported.table.path}")


def _drawn(
    space: str, skeleton: str | None, threads: int, samples: int, seed: int, precision: "Precision"
) -> "tuple[list[Network], list[Source]]":
    """Networks of a space, the same as `nas latency measure` draws here, and what they come from."""
    import numpy as np

    from nas.latency.measure import draw_networks
    from nas.space import Skeleton
    from nas.timing.channel_block import detect_channel_block
    from nas.timing.table import Source

    loaded, name, _ = what_to_measure(space, skeleton, threads)
    chosen = Skeleton.load(name)
    networks = draw_networks(
        loaded,
        chosen,
        samples=samples,
        channel_block=detect_channel_block(),
        rng=np.random.default_rng(seed),
        precision=precision,
    )
    return networks, [Source(loaded.to_json(), chosen.to_json())]


def _given(networks: list[str], skeleton: str | None, precision: "Precision") -> "list[Network]":
    return [
        network
        for name in networks
        for network in networks_of(name, skeleton or "coco17", precisions=[precision])
    ]


def _tell_gaps(imported: "TableImport", *, compared: bool) -> None:
    """Say what the table lacks."""
    if not compared:
        remark("Not compared with a pack: none was given (--pack).")
    if imported.torn:
        remark("The table ended in an unfinished line, which was left out.")
    if imported.incomplete:
        count, wanted = len(imported.incomplete), imported.table.protocol.visits
        remark(
            f"{count} networks have fewer than {wanted} visits: run the pack's program there once more, "
            "and import its table again."
        )
    if imported.ungrouped:
        remark(
            f"The grouping of joints into people was not timed on that device for {imported.ungrouped} "
            "networks: these are times of the network alone. A search needs the grouping too: install what "
            "the program asks for there, run it once more, and import its table again."
        )
