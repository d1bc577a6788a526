"""What a block is told when it is built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.space.specs import OptionValue


@dataclass(frozen=True)
class BlockPlace:
    """A block's place in a supernet.

    Args:
        in_width, out_width: the largest widths.
        stride: in both directions.
        residual: whether the block is not the first of its stage: what comes in has the width and the size of
            what goes out, and is passed on beside the layers.
        choices: of this block's fields, by name.
        options: the choices of the stage's options.
    """

    in_width: int
    out_width: int
    stride: int
    residual: bool
    choices: Mapping[str, Sequence[int]]
    options: Mapping[str, Sequence[OptionValue]]
