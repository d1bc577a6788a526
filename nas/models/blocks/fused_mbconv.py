"""Fused inverted residual blocks (EfficientNetV2, Tan and Le 2021)."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from nas.layers import ElasticBatchNorm2d, ElasticConv2d, ElasticKernelConv2d, Run, activate
from nas.space.arch import Block, OptionValue, Stage
from nas.space.stages import BlockSpec


class FusedMBConv(nn.Module):
    """`MBConv` with one dense convolution in place of 1x1 and depthwise; it projects at expansion 1 as well.

    Args:
        in_width, out_width: the largest widths.
        stride, residual, choices, options: see `BlockType`; the dense convolution has the stride.
    """

    def __init__(
        self,
        in_width: int,
        out_width: int,
        *,
        stride: int,
        residual: bool,
        choices: BlockSpec,
        options: Mapping[str, Sequence[OptionValue]],
    ) -> None:
        super().__init__()
        hidden = in_width * max(choices.expansions)
        self.residual = residual
        self.expand = ElasticKernelConv2d(in_width, hidden, choices.kernels, stride=stride)
        self.expand_norm = ElasticBatchNorm2d(hidden)
        self.project = ElasticConv2d(hidden, out_width, 1, bias=False)
        self.project_norm = ElasticBatchNorm2d(out_width)

    def forward(self, x: Tensor, stage: Stage, block: Block, run: Run) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        hidden = self.expand(x, x.shape[1] * block.expansion, block.kernel, run)
        hidden = activate(self.expand_norm(hidden, run), stage.activation)
        out: Tensor = self.project_norm(self.project(hidden, stage.width, run), run)
        return x + out if self.residual else out
