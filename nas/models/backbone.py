"""The elastic backbone: stages, each of one type out of several."""

from collections.abc import Sequence

from torch import Tensor, nn

from nas.layers import Context
from nas.models.blocks import STAGES
from nas.space.arch import Stage
from nas.space.stages import StageSpec


class ElasticStage(nn.Module):
    """A stage for every type to choose from.

    Args:
        in_width: the largest width of what comes in.
        spec: the stage's choices.
    """

    def __init__(self, in_width: int, spec: StageSpec) -> None:
        super().__init__()
        self.types = nn.ModuleDict({name: STAGES[name](in_width, spec) for name in spec.types})

    def forward(self, x: Tensor, stage: Stage, context: Context) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        out: Tensor = self.types[stage.type](x, stage, context)
        return out


def build_stages(stem_width: int, specs: Sequence[StageSpec]) -> nn.ModuleList:
    """All stages at their largest widths."""
    stages = nn.ModuleList()
    width = stem_width
    for spec in specs:
        stages.append(ElasticStage(width, spec))
        width = max(spec.widths)
    return stages
