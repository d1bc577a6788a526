"""Architectures as immutable values.

Files are read and written in `arch_json.py` (this project's format) and `litepose.py` (LitePose's).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from nas.files import write_text

OptionValue = int | float | str | bool
Options = tuple[tuple[str, OptionValue], ...]

_INNERMOST = re.compile(r"[\[{][^\[\]{}]*[\]}]")


def freeze_options(options: Mapping[str, OptionValue]) -> Options:
    """Options as a sorted, hashable tuple of pairs."""
    return tuple(sorted(options.items()))


@dataclass(frozen=True)
class Block:
    """One block of a stage: kernel (px) and expansion ratio.

    What its type has no choice of is what `nas.space.fields.FIXED_OF_BLOCKS` says, so that equal
    networks are equal archs.
    """

    kernel: int
    expansion: int

    def to_json(self) -> dict[str, int]:
        """Plain data."""
        return {"kernel": self.kernel, "expansion": self.expansion}


@dataclass(frozen=True)
class Stem:
    """The layers before the first stage; `width` is their output channels."""

    width: int
    activation: str
    type: str = "separable"


@dataclass(frozen=True)
class Stage:
    """A run of blocks of one width; the first block carries the stride, depth is `len(blocks)`."""

    type: str
    activation: str
    stride: int
    width: int
    blocks: tuple[Block, ...]
    options: Options = ()

    @property
    def depth(self) -> int:
        return len(self.blocks)

    def option(self, name: str) -> OptionValue:
        """The value of one option. Raises KeyError where the stage has no such option."""
        return dict(self.options)[name]


@dataclass(frozen=True)
class Neck:
    """What joins the stages' features.

    Args:
        type: its kind.
        upsampler: how maps are enlarged.
        widths: one per level, coarsest first. Those of "fusion_deconv" begin one up-sampling above the last
            stage, those of a pyramid ("fpn", "pan") at the last stage or `coarser` levels below.
        convolution: how a pyramid's 3x3 convolutions are made.
        coarser: how many levels of a pyramid are coarser than the last stage.
    """

    type: str = "none"
    upsampler: str | None = None
    widths: tuple[int, ...] = ()
    convolution: str | None = None
    coarser: int = 0


@dataclass(frozen=True)
class Head:
    """The head's type and its options."""

    type: str
    options: Options = ()

    def option(self, name: str) -> OptionValue:
        """The value of one option. Raises KeyError where the head has no such option."""
        return dict(self.options)[name]


@dataclass(frozen=True)
class Arch:
    """One pose network: equal by value, hashable, named by `id`."""

    resolution: tuple[int, int]
    stem: Stem
    stages: tuple[Stage, ...]
    neck: Neck
    head: Head

    @cached_property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the canonical JSON."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @cached_property
    def _hash(self) -> int:
        return hash((self.resolution, self.stem, self.stages, self.neck, self.head))

    def __hash__(self) -> int:
        return self._hash

    def with_resolution(self, resolution: tuple[int, int]) -> Self:
        """The same layers at another input size (h, w)."""
        return replace(self, resolution=resolution)

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        # The cached hash must not travel: string hashes differ from process to process.
        return type(self), (self.resolution, self.stem, self.stages, self.neck, self.head)

    def to_json(self) -> dict[str, Any]:
        """Plain data of the versioned arch format; `from_json` gives an equal arch back."""
        from nas.space.arch_json import arch_to_json

        return arch_to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, source: str = "arch") -> "Arch":
        """The arch that `data` describes, in this project's format or in LitePose's.

        Raises:
            UserError: `source: field: what is wrong`.
        """
        from nas.space.arch_json import arch_from_json
        from nas.space.litepose import arch_from_litepose, is_litepose

        return (arch_from_litepose if is_litepose(data) else arch_from_json)(data, source=source)

    def save(self, path: str | Path, *, info: Mapping[str, Any] | None = None) -> None:
        """Write the arch as JSON; `info` (how it was found, its figures) stands beside it, no part of it."""
        data = self.to_json() | ({"info": dict(info)} if info else {})
        # Innermost lists and mappings on one line each: a block reads as one thing.
        lines = json.dumps(data, indent=2, allow_nan=False)
        lines = _INNERMOST.sub(lambda match: re.sub(r"\n *", " ", match.group()), lines)
        write_text(path, lines + "\n")

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Arch":
        """The arch of a JSON file, or of a subnet that ships with the package, by its name.

        Raises:
            UserError: no such file, not JSON, or not an arch; names file and field.
        """
        from nas.space.arch_json import load_arch

        return load_arch(name_or_path)
