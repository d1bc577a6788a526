"""The elastic backbone: stages, each of one type out of several."""

from collections.abc import Sequence

from torch import Tensor, nn

from nas.layers import Context
from nas.space.arch import Stage
from nas.space.parts import part
from nas.space.specs import BlockSpec
from nas.space.stages import StageChoices


class ElasticStage(nn.Module):
    """A stage for every type to choose from.

    Args:
        in_width: the largest width of what comes in.
        spec: the stage's choices.
    """

    def __init__(self, in_width: int, spec: StageChoices) -> None:
        super().__init__()
        self.types = nn.ModuleDict({name: _stage(name, in_width, spec) for name in spec.types})

    def forward(self, x: Tensor, stage: Stage, context: Context) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        out: Tensor = self.types[stage.type](x, stage, context)
        return out


def _stage(name: str, in_width: int, spec: StageChoices) -> nn.Module:
    """A stage of one type of block at its largest widths."""
    described = part(BlockSpec, name)
    stage: nn.Module = described.load_stage()(described.load_module(), in_width, spec)
    return stage


def build_stages(stem_width: int, specs: Sequence[StageChoices]) -> nn.ModuleList:
    """All stages at their largest widths."""
    stages = nn.ModuleList()
    width = stem_width
    for spec in specs:
        stages.append(ElasticStage(width, spec))
        width = max(spec.widths)
    return stages
