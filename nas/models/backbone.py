"""The elastic backbone: a stem and stages of blocks."""

from collections.abc import Sequence
from itertools import islice

from torch import Tensor, nn

from nas.layers import Run
from nas.models.blocks import BLOCKS
from nas.space.arch import Stage
from nas.space.spec import StageSpec


class ElasticStage(nn.Module):
    """A run of blocks for every block type to choose from; an architecture uses the first `depth` of one.

    Args:
        in_width: the largest width of what comes in.
        spec: the stage's choices.
    """

    def __init__(self, in_width: int, spec: StageSpec) -> None:
        super().__init__()
        width = max(spec.widths)
        self.types = nn.ModuleDict(
            {
                name: nn.ModuleList(
                    BLOCKS[name](
                        in_width if position == 0 else width,
                        width,
                        stride=spec.stride if position == 0 else 1,
                        kernels=block.kernels,
                        expansions=block.expansions,
                        residual=position > 0,
                    )
                    for position, block in enumerate(spec.blocks)
                )
                for name in spec.types
            }
        )

    def forward(self, x: Tensor, stage: Stage, run: Run) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        blocks = self.types[stage.type]
        assert isinstance(blocks, nn.ModuleList)
        for module, block in zip(islice(blocks, stage.depth), stage.blocks, strict=True):
            x = module(x, stage.width, block, stage.activation, run)
        return x


def build_stages(stem_width: int, specs: Sequence[StageSpec]) -> nn.ModuleList:
    """All stages at their largest widths."""
    stages = nn.ModuleList()
    width = stem_width
    for spec in specs:
        stages.append(ElasticStage(width, spec))
        width = max(spec.widths)
    return stages
