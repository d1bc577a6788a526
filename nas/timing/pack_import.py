"""Tables from other devices: checked, and taken in beside the own ones."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.files import one_component
from nas.timing.manifest import Manifest
from nas.timing.table import LatencyTable, Source
from nas.timing.timing import Timing

USUAL_FOLDER = Path("runs/latency")


@dataclass(frozen=True)
class TableImport:
    """What came of importing a table.

    Args:
        table: as it stands now.
        added: visits that were new.
        incomplete: names of networks with fewer visits than the protocol asks for, or none.
        torn: whether the given table ended in an unfinished line, which was left out.
    """

    table: LatencyTable
    added: int
    incomplete: tuple[str, ...]
    torn: bool

    @property
    def ungrouped(self) -> int:
        """How many networks' grouping was not timed on that device."""
        return sum(math.isnan(timing.outside_ms) for timing in self.table.timings())


def import_table(path: Path, *, pack: Path | None = None, table: Path | None = None) -> TableImport:
    """Take a table from another device in; visits of a table that was imported before are added to it.

    Args:
        path: the table that was copied back.
        pack: the folder that its networks must be of; None compares with none.
        table: where to; by default under runs/latency/, in a folder named by the device's fingerprint.

    Raises:
        UserError: broken or mixed rows, impossible times, networks or a protocol other than the pack's, or a
            table of another device in the way.
    """
    found = LatencyTable.read(path)
    for timing in found.timings():
        _check_times(timing, path)
    expected = {timing.key: timing.name for timing in found.timings()}
    if pack is not None:
        manifest = Manifest.read(pack)
        _check_pack(found, manifest, pack)
        expected = {network.key: network.name for network in manifest.networks}
    target = table or usual_table(found)
    with LatencyTable.open(
        target, device=found.device, protocol=found.protocol, channel_block=found.channel_block
    ) as own:
        added = own.merge(found)
        visits = own.visits
    return TableImport(
        table=LatencyTable.read(target),
        added=added,
        incomplete=tuple(
            name for key, name in expected.items() if visits.get(key, 0) < found.protocol.visits
        ),
        torn=not path.read_bytes().endswith(b"\n"),
    )


def usual_table(table: LatencyTable) -> Path:
    """Where tables of other devices lie: a folder per device, so that their predictors stay apart too."""
    return (
        USUAL_FOLDER / table.device.fingerprint / f"{table_name(table.sources, table.device.threads)}.jsonl"
    )


def table_name(sources: list[Source], threads: int) -> str:
    """What is measured, in a file's name: the first source's space and skeleton, and the threads."""
    name = f"{sources[0].space['name']}-{sources[0].skeleton['name']}" if sources else "networks"
    return one_component(f"{name}-{threads}t", "the table's space and skeleton")


def _check_times(timing: Timing, path: Path) -> None:
    for visit in timing.visits:
        operators = [operator.ms for operator in visit.operators]
        runs = [*visit.wall_ms, *visit.cpu_ms]
        sound = all(math.isfinite(ms) and ms >= 0 for ms in (*operators, *runs))
        if not sound or sum(operators) <= 0 or not visit.wall_ms or min(visit.wall_ms) <= 0:
            raise UserError(
                f"{path}: a visit to {timing.name} on {visit.date} holds no times, or impossible ones; "
                "copy the table again, or remove that line"
            )


def _check_pack(table: LatencyTable, manifest: Manifest, pack: Path) -> None:
    if table.protocol.fingerprint != manifest.protocol.fingerprint:
        raise UserError(
            f"{table.path} was measured with {table.protocol}, the pack {pack} asks for {manifest.protocol}; "
            "give the pack that it was measured with"
        )
    if table.device.threads != manifest.threads:
        raise UserError(
            f"{table.path} was measured with {table.device.threads} threads, the pack {pack} asks for "
            f"{manifest.threads}; give the pack that it was measured with"
        )
    packed: Mapping[str, Mapping[str, Any]] = {item.key: item.description for item in manifest.networks}
    foreign = Counter(
        timing.name for timing in table.timings() if packed.get(timing.key) != timing.description
    )
    if foreign:
        raise UserError(
            f"{table.path} holds {len(foreign)} networks that the pack {pack} does not "
            f"({next(iter(foreign))} ...); give the pack that it was measured with"
        )
    if any(source not in manifest.sources for source in table.sources):
        raise UserError(
            f"{table.path}: its networks were drawn from another space or skeleton than those of the pack "
            f"{pack}; give the pack that it was measured with"
        )
