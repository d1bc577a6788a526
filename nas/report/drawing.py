"""Drawings of networks beside the largest of their space: geometry; `nas/pages/network.html` is the ink."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nas.space import Arch
from nas.space.arch import Block, Stage
from nas.space.parts import part
from nas.space.specs import StemSpec

_ROW = 48
_LEFT, _ROOM = 134, 206
"""Where blocks begin, and how much room they and the bars of channels have, in px of 340."""

_TALLEST, _LOWEST, _BROADEST = 28, 8, 30
_SHADES = {1: 0.12, 3: 0.2, 5: 0.38, 7: 0.56}
_DEEPEST_SHADE = 0.7
_LONGEST = 64
"""Letters of a line."""

_LETTERED = 11
"""Px of width from which on a block's kernel is written into it."""


@dataclass(frozen=True)
class DrawnBlock:
    """One rectangle; `number` is written into it. An `extra` one is the largest network's alone."""

    x: float
    width: float
    height: float
    shade: float
    number: str
    title: str
    extra: bool = False


@dataclass(frozen=True)
class DrawnRow:
    """One part of a network.

    Args:
        top: px.
        title, detail: beside it.
        blocks: of a stage.
        channels, most: px of the bars of its channels, and of the largest network's; 0 for no bar.
    """

    top: int
    title: str
    detail: str
    blocks: tuple[DrawnBlock, ...] = ()
    channels: float = 0
    most: float = 0


@dataclass(frozen=True)
class NetworkDrawing:
    """A drawing, and the same in words."""

    rows: tuple[DrawnRow, ...]
    words: str

    @property
    def height(self) -> int:
        """Of all, in px."""
        return self.rows[-1].top + _ROW - 6


def draw_network(arch: Arch, largest: Arch) -> NetworkDrawing:
    """An architecture, drawn to the scale of the largest one of its space and head."""
    rows = [*_body(arch, largest), *_rest(arch)]
    placed = tuple(
        DrawnRow(number * _ROW, row.title, row.detail, row.blocks, row.channels, row.most)
        for number, row in enumerate(rows)
    )
    words = "; ".join(
        " ".join(
            (f"{row.title}: {row.detail}", *(f"({block.title})" for block in row.blocks if not block.extra))
        )
        for row in placed
    )
    return NetworkDrawing(placed, words)


def _body(arch: Arch, largest: Arch) -> Iterator[DrawnRow]:
    """Stem and stages with the size of their maps."""
    widest = max(w for net in (arch, largest) for w in (net.stem.width, *(s.width for s in net.stages)))
    depth = max(stage.depth for net in (arch, largest) for stage in net.stages)
    slot = min(_BROADEST, _ROOM / depth)
    stride = part(StemSpec, arch.stem.type).stride
    bars = (_ROOM * arch.stem.width / widest, _ROOM * largest.stem.width / widest)
    yield DrawnRow(0, f"stem {arch.stem.type}", _map(arch, stride, arch.stem.width), (), *bars)
    for number, stage in enumerate(arch.stages):
        stride *= stage.stride
        other = largest.stages[number] if number < len(largest.stages) else stage
        bars = (_ROOM * stage.width / widest, _ROOM * other.width / widest)
        blocks = tuple(_blocks(stage, other, slot))
        yield DrawnRow(0, f"stage {number} {stage.type}", _map(arch, stride, stage.width), blocks, *bars)


def _rest(arch: Arch) -> Iterator[DrawnRow]:
    """Neck and head."""
    neck, head = arch.neck, arch.head
    if neck.type != "none":
        widths = ", ".join(
            f"{width} at 1/{stride}" for width, stride in zip(neck.widths, arch.level_strides, strict=False)
        )
        how = f" ({neck.upsampler})" if neck.upsampler else ""
        yield DrawnRow(0, f"neck {neck.type}{how}", widths)
    yield DrawnRow(
        0, f"head {head.type}", _shortened(", ".join(f"{name} {value}" for name, value in head.options))
    )


def _blocks(stage: Stage, largest: Stage, slot: float) -> Iterator[DrawnBlock]:
    tallest = max(block.expansion for block in (*stage.blocks, *largest.blocks))
    # The largest's first, so that what is there lies on top of them.
    for extra, blocks in ((True, largest.blocks), (False, stage.blocks)):
        for number, block in enumerate(blocks):
            if extra and not _has_more(block, stage.blocks, number):
                continue
            yield DrawnBlock(
                x=round(_LEFT + number * slot, 1),
                width=round(slot - 2, 1),
                height=round(_LOWEST + (_TALLEST - _LOWEST) * block.expansion / tallest, 1),
                shade=_SHADES.get(block.kernel, _DEEPEST_SHADE),
                number=str(block.kernel) if slot - 2 >= _LETTERED else "",
                title=f"kernel {block.kernel}, expansion {block.expansion}",
                extra=extra,
            )


def _has_more(block: Block, blocks: Sequence[Block], number: int) -> bool:
    """Whether a block of the largest is to be seen behind those of a smaller one."""
    return number >= len(blocks) or block.expansion > blocks[number].expansion


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 2] + " …"


def _map(arch: Arch, stride: int, width: int) -> str:
    height, across = (side // stride for side in arch.resolution)
    return f"{height} x {across}, {width} channels"
