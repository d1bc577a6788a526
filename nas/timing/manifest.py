"""What a pack holds: the networks to time on another device, as files that a manifest names.

A pack is a folder: this manifest, one compressed ONNX file per network, the channel-block probe, the program
that measures (`nas.timing.on_device`), and a README.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nas.errors import UserError
from nas.files import write_json
from nas.timing.grouping import Grouping
from nas.timing.protocol import Network, Protocol
from nas.timing.table import Source

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
PROGRAM = "measure.pyz"
README = "README.md"


@dataclass(frozen=True)
class PackedModel:
    """A gzip-compressed ONNX file of a pack.

    Args:
        file: relative to the pack's folder.
        sha256: of the ONNX model, uncompressed.
    """

    file: str
    sha256: str

    def read(self, folder: Path) -> bytes:
        """The serialised model. Raises UserError where the file is missing or damaged."""
        path = folder / self.file
        try:
            model = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, ValueError) as error:
            raise UserError(f"cannot read {path} ({error}); copy the pack's folder again") from None
        if hashlib.sha256(model).hexdigest() != self.sha256:
            raise UserError(f"{path} is not what the pack was made with; copy the pack's folder again")
        return model


@dataclass(frozen=True)
class PackedNetwork:
    """A network of a pack; see `nas.timing.protocol.Network`."""

    key: str
    name: str
    model: PackedModel
    description: Mapping[str, Any]
    grouping: Grouping | None

    def network(self, folder: Path, *, grouped: bool = True) -> Network:
        """The network to time, read from the pack's folder; its grouping too, unless told otherwise."""
        return Network(
            key=self.key,
            name=self.name,
            model=lambda: self.model.read(folder),
            outside=self.grouping if grouped else None,
            description=tuple(self.description.items()),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        return {
            "key": self.key,
            "name": self.name,
            "model": vars(self.model),
            "description": dict(self.description),
            "grouping": None if self.grouping is None else self.grouping.to_json(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        grouping = values["grouping"]
        return cls(
            key=values["key"],
            name=values["name"],
            model=PackedModel(**values["model"]),
            description=values["description"],
            grouping=None if grouping is None else Grouping.from_json(grouping),
        )


@dataclass(frozen=True)
class Manifest:
    """Everything that a pack's device needs to know.

    Args:
        protocol: how to time.
        threads: of onnxruntime.
        seed: of the order of visits and of the inputs.
        sources: what the networks were drawn from.
        probe: the model that tells the device's channel block.
        networks: of different keys.
    """

    protocol: Protocol
    threads: int
    seed: int
    sources: Sequence[Source]
    probe: PackedModel
    networks: Sequence[PackedNetwork]

    def write(self, folder: Path) -> None:
        """Write the manifest's file into a folder."""
        content = {
            "version": FORMAT_VERSION,
            "protocol": self.protocol.to_json(),
            "threads": self.threads,
            "seed": self.seed,
            "sources": [dict(vars(source)) for source in self.sources],
            "probe": vars(self.probe),
            "networks": [network.to_json() for network in self.networks],
        }
        write_json(folder / MANIFEST, content, indent=1)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest of a pack. Raises UserError where the folder holds none that is complete."""
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{folder} is no pack of `nas latency pack`: {MANIFEST}: {error}") from None
        if not isinstance(content, dict) or content.get("version") != FORMAT_VERSION:
            raise UserError(f"{path} is not of version {FORMAT_VERSION}; make the pack again")
        try:
            return cls(
                protocol=Protocol.from_json(content["protocol"]),
                threads=content["threads"],
                seed=content["seed"],
                sources=[Source(**source) for source in content["sources"]],
                probe=PackedModel(**content["probe"]),
                networks=[PackedNetwork.from_json(network) for network in content["networks"]],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is incomplete ({error!r}); copy the pack's folder again") from None

    def check(self, folder: Path) -> None:
        """Read every model once. Raises UserError for one that is missing or damaged."""
        for model in (self.probe, *(network.model for network in self.networks)):
            model.read(folder)
