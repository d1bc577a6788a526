"""The table of timings: append-only JSON lines of one device and one protocol.

Row kinds, in the field "row": "table" (the first line: device, protocol, channel block), "source" (search
space and skeleton that networks were drawn from), "network" (before its first visit), "visit" and "footprint"
(a network's size and memory; not in older tables). Every row carries the fingerprint of device and protocol,
so that rows put together by hand are found out.
"""

import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nas.documents import Fields
from nas.errors import UserError
from nas.files import append_row, cut_torn_row, read_rows, writing
from nas.outputs import LATENCY_TABLE, require_replaceable
from nas.timing.device import DeviceDescription
from nas.timing.memory import MeasuredFootprint
from nas.timing.profile import OperatorTime, align
from nas.timing.protocol import Network, Protocol, Visit
from nas.timing.rows import check_visit, read_operators, read_visit, visit_row
from nas.timing.timing import Timing

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Source:
    """What networks were drawn from: search space and skeleton, as JSON."""

    space: Mapping[str, Any]
    skeleton: Mapping[str, Any]


@dataclass
class _NetworkRow:
    name: str
    description: Mapping[str, Any]
    operators: list[tuple[str, str]]
    visits: list[Visit] = field(default_factory=list)

    def timing(self, key: str) -> Timing:
        """What is known of the network of that key."""
        return Timing(key, self.name, self.description, tuple(self.visits))


class LatencyTable:
    """Timings of one device under one protocol.

    `read` gives a table to look at; `open` one to append to, as a context manager. Every visit is on disk
    before the next begins.
    """

    def __init__(
        self, path: Path, *, device: DeviceDescription, protocol: Protocol, channel_block: int
    ) -> None:
        self.path = path
        self.device = device
        self.protocol = protocol
        self.channel_block = channel_block
        self.sources: list[Source] = []
        self.footprints: dict[str, MeasuredFootprint] = {}
        """Size and memory by network key, as far as they were measured."""
        self._records: dict[str, _NetworkRow] = {}
        self._file: io.FileIO | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """The table at a path; a line that a killed process left unfinished is passed over.

        Raises UserError where the file is missing, is no table, is broken, or mixes devices or protocols.
        """
        found = list(read_rows(path))
        if not found:
            raise UserError(f"{path} holds no timing; measure networks into it first")
        number, header = found[0]
        if header.get("row") != "table" or header.get("version") != FORMAT_VERSION:
            raise UserError(
                f"{path}, line {number}: not the first line of a latency table of version {FORMAT_VERSION}"
            )
        fields = Fields(header, f"{path}, line {number}")
        table = cls(
            path,
            device=DeviceDescription.from_json(fields.get("device"), f"{fields.place}: device"),
            protocol=Protocol.from_json(fields.get("protocol"), f"{fields.place}: protocol"),
            channel_block=fields.integer("channel_block", least=1),
        )
        for number, row in found:
            table._take(row, number)
        return table

    @classmethod
    def open(cls, path: Path, *, device: DeviceDescription, protocol: Protocol, channel_block: int) -> Self:
        """The table at a path, new or continued, to append timings of this device under this protocol.

        An unfinished last line is cut off. Raises UserError where the file is none of this project's, the
        existing table is of another device or protocol, or another process is writing it.
        """
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b", buffering=0)
        try:
            _lock(file, path)
            require_replaceable(path, LATENCY_TABLE)
            if cut_torn_row(file):
                table = cls.read(path)
                table._refuse_other(device, protocol)
                table._file = file
            else:
                table = cls(path, device=device, protocol=protocol, channel_block=channel_block)
                table._file = file
                table._append(
                    {
                        "row": "table",
                        "version": FORMAT_VERSION,
                        "device": device.to_json(),
                        "protocol": protocol.to_json(),
                        "channel_block": channel_block,
                    }
                )
        except BaseException:
            file.close()
            raise
        return table

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what was appended stays readable."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def fingerprint(self) -> str:
        """Device and protocol in one: rows of one table share it."""
        return f"{self.device.fingerprint}-{self.protocol.fingerprint}"

    @property
    def visits(self) -> dict[str, int]:
        """Network key -> number of visits."""
        return {key: len(record.visits) for key, record in self._records.items()}

    def timings(self) -> list[Timing]:
        """The networks with at least one visit, in the order in which they came."""
        return [record.timing(key) for key, record in self._records.items() if record.visits]

    def timing(self, key: str) -> Timing:
        """One network's timing. Raises KeyError where it has no visit."""
        record = self._records[key]
        if not record.visits:
            raise KeyError(key)
        return record.timing(key)

    def add_source(self, source: Source) -> None:
        """Note what the following networks are drawn from; each source once."""
        if source not in self.sources:
            self._append({"row": "source", "space": dict(source.space), "skeleton": dict(source.skeleton)})
            self.sources.append(source)

    def add(self, network: Network, visit: Visit) -> None:
        """Append one visit. Raises UserError where the network has other operators than in earlier visits."""
        self._add(network.key, network.name, dict(network.description), visit)

    def add_footprint(self, key: str, footprint: MeasuredFootprint) -> None:
        """Append what a network takes besides time."""
        self._append({"row": "footprint", "network": key, **footprint.to_json()})
        self.footprints[key] = footprint

    def merge(self, other: "LatencyTable") -> int:
        """Append the sources and visits of another table of this device and protocol that are not here yet.

        Returns:
            How many visits were new.

        Raises:
            UserError: another device, protocol or channel block, or other operators under a key.
        """
        self._refuse_other(other.device, other.protocol)
        if other.channel_block != self.channel_block:
            raise UserError(
                f"{other.path} has a channel block of {other.channel_block}, {self.path} one of "
                f"{self.channel_block}: two tables of one device cannot; keep them apart"
            )
        for source in other.sources:
            self.add_source(source)
        added = 0
        for timing in other.timings():
            known = self._records.get(timing.key)
            present = [visit_row(timing.key, visit) for visit in (known.visits if known else ())]
            for visit in timing.visits:
                if visit_row(timing.key, visit) not in present:
                    self._add(timing.key, timing.name, timing.description, visit)
                    added += 1
        for key, footprint in other.footprints.items():
            if key not in self.footprints:
                self.add_footprint(key, footprint)
        return added

    def _add(self, key: str, name: str, description: Mapping[str, Any], visit: Visit) -> None:
        record = self._records.get(key)
        if record is None:
            operators = [(operator.name, operator.kind) for operator in visit.operators]
            record = _NetworkRow(name, description, operators)
            row = {"row": "network", "network": key, "name": name}
            self._append({**row, "operators": operators, "description": description})
            self._records[key] = record
        try:
            ordered = align(visit.operators, [OperatorTime(name, kind, 0) for name, kind in record.operators])
        except ValueError:
            raise UserError(
                f"{self.path}: network {name} has other operators than when it was first timed "
                "(the exporter or the file changed); start a new table"
            ) from None
        row = visit_row(key, replace(visit, operators=ordered))
        self._append(row)
        record.visits.append(read_visit(row, record.operators))

    def _append(self, row: dict[str, Any]) -> None:
        if self._file is None:
            raise ValueError("the table was opened for reading only")
        append_row(self.path, {"fingerprint": self.fingerprint, **row})

    def _take(self, row: dict[str, Any], number: int) -> None:
        where = f"{self.path}, line {number}"
        if row.get("fingerprint") != self.fingerprint:
            raise UserError(
                f"{where}: fingerprint {row.get('fingerprint')} in a table of {self.fingerprint}; timings of "
                "different devices, runtimes or protocols do not mix: keep them in tables of their own"
            )
        fields = Fields(row, where)
        match fields.text("row"):
            case "source":
                self.sources.append(Source(fields.mapping("space"), fields.mapping("skeleton")))
            case "network":
                record = _NetworkRow(
                    fields.text("name"), fields.mapping("description"), read_operators(fields)
                )
                self._records.setdefault(fields.text("network"), record)
            case "footprint":
                self.footprints[fields.text("network")] = MeasuredFootprint.from_json(row, where)
            case "visit":
                known = self._records.get(fields.text("network"))
                if known is None:
                    raise UserError(f"{where}: a visit of a network not named before; remove the line")
                check_visit(fields, len(known.operators))
                known.visits.append(read_visit(row, known.operators))

    def _refuse_other(self, device: DeviceDescription, protocol: Protocol) -> None:
        if device.fingerprint != self.device.fingerprint:
            raise UserError(
                f"{self.path} was measured on {self.device}; this is {device}; give another `table`"
            )
        if protocol.fingerprint != self.protocol.fingerprint:
            raise UserError(
                f"{self.path} was measured with {self.protocol}; asked for: {protocol}; give another `table`"
            )


def _lock(file: io.FileIO, path: Path) -> None:
    """Keep a second measuring process out; a device that times a pack may lack the library."""
    with suppress(ModuleNotFoundError):
        from nas.locks import lock_file

        lock_file(file.fileno(), path)
