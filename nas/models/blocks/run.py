"""Stages that are a run of equal blocks, one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from torch import Tensor, nn

from nas.layers import Run
from nas.space.arch import OptionValue, Stage
from nas.space.stages import BlockSpec, StageSpec


class BlockType(Protocol):
    """What builds one block of a run at its largest widths.

    Args:
        in_width, out_width: the largest widths.
        stride: in both directions.
        residual: whether the block is not the first of its stage: what comes in has the width and the size of
            what goes out, and is passed on beside the layers.
        choices: of this block's kernel and expansion.
        options: the choices of the stage's options.
    """

    def __call__(
        self,
        in_width: int,
        out_width: int,
        *,
        stride: int,
        residual: bool,
        choices: BlockSpec,
        options: Mapping[str, Sequence[OptionValue]],
    ) -> Any: ...


class BlockRun(nn.ModuleList):
    """Blocks in a row; an architecture uses the first `depth`.

    Args:
        block: the type of all of them.
        in_width: the largest width of what comes in.
        spec: the stage's choices.
    """

    def __init__(self, block: BlockType, in_width: int, spec: StageSpec) -> None:
        width = max(spec.widths)
        super().__init__(
            block(
                in_width if position == 0 else width,
                width,
                stride=spec.stride if position == 0 else 1,
                residual=position > 0,
                choices=choices,
                options=spec.options,
            )
            for position, choices in enumerate(spec.blocks)
        )

    def forward(self, x: Tensor, stage: Stage, run: Run) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        # A block is told nothing of the others: what depends on its own settings alone is traced once.
        common = replace(stage, blocks=())
        for module, block in zip(islice(self, stage.depth), stage.blocks, strict=True):
            x = module(x, common, block, run)
        return x
