"""What stages are made of, one file per type that an architecture can name."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from torch import nn

from nas.models.blocks.csp import CSPNeXtBlock, CSPStage, DarknetBlock
from nas.models.blocks.fused_mbconv import FusedMBConv
from nas.models.blocks.mbconv import MBConv
from nas.models.blocks.mbv3 import MobileNetV3Block
from nas.models.blocks.rep import RepBlock
from nas.models.blocks.sequence import BlockSequence
from nas.models.blocks.shuffle import ShuffleUnit
from nas.space.stages import StageSpec

STAGES: Mapping[str, Callable[[int, StageSpec], nn.Module]] = MappingProxyType(
    {
        "mbconv": partial(BlockSequence, MBConv),
        "mbv3": partial(BlockSequence, MobileNetV3Block),
        "fused_mbconv": partial(BlockSequence, FusedMBConv),
        "rep": partial(BlockSequence, RepBlock),
        "shuffle": partial(BlockSequence, ShuffleUnit),
        "cspnext": partial(CSPStage, CSPNeXtBlock),
        "cspdark": partial(CSPStage, DarknetBlock),
    }
)
"""By type, what builds a stage from the largest width of its input and its choices.

The module is called as `module(x, stage, context)`.
"""

__all__ = [
    "STAGES",
    "BlockSequence",
    "CSPNeXtBlock",
    "CSPStage",
    "DarknetBlock",
    "FusedMBConv",
    "MBConv",
    "MobileNetV3Block",
    "RepBlock",
    "ShuffleUnit",
]
