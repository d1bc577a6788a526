"""Stages that are a run of equal blocks, one after the other."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from torch import Tensor, nn

from nas.layers import Run
from nas.space.arch import Stage
from nas.space.stages import StageSpec


class BlockType(Protocol):
    """What builds one block of a run at its largest widths; see `MBConv`."""

    def __call__(
        self,
        in_width: int,
        out_width: int,
        *,
        stride: int,
        kernels: Sequence[int],
        expansions: Sequence[int],
        residual: bool,
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
                kernels=choices.kernels,
                expansions=choices.expansions,
                residual=position > 0,
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
