"""What necks hand to heads."""

from dataclasses import dataclass

from torch import Tensor

LevelFeatures = tuple[Tensor, Tensor | None]
"""The refined features of one scale, and the raw backbone features of the same scale where there are any."""


@dataclass(frozen=True)
class Level:
    """One scale that a neck hands to the heads: its largest channel counts, and its stride (px)."""

    channels: int
    raw_channels: int | None
    stride: int
