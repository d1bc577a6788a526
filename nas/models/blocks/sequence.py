"""Stages of equal blocks, one after the other."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from torch import Tensor, nn

from nas.layers import Context
from nas.models.blocks.place import BlockPlace
from nas.space.arch import Stage
from nas.space.stages import StageChoices


class BlockSequence(nn.ModuleList):
    """Blocks in a row; an architecture uses the first `depth`.

    Args:
        block: builds one of them at its largest widths.
        in_width: the largest width of what comes in.
        spec: the stage's choices.
    """

    def __init__(self, block: Callable[[BlockPlace], nn.Module], in_width: int, spec: StageChoices) -> None:
        width = max(spec.widths)
        super().__init__(
            block(
                BlockPlace(
                    in_width=in_width if position == 0 else width,
                    out_width=width,
                    stride=spec.stride if position == 0 else 1,
                    residual=position > 0,
                    choices=choices,
                    options=spec.options,
                )
            )
            for position, choices in enumerate(spec.blocks)
        )

    def forward(self, x: Tensor, stage: Stage, context: Context) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        # A block is told nothing of the others: what depends on its own settings alone is traced once.
        common = replace(stage, blocks=())
        for module, block in zip(islice(self, stage.depth), stage.blocks, strict=True):
            x = module(x, common, block, context)
        return x
