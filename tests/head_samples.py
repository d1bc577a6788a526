"""One small network under every head."""

from nas.space.arch import Arch, Block, Head, Neck, Stage, Stem
from nas.space.catalogue import HEADS
from nas.space.options import freeze_options
from nas.space.parts import part
from nas.space.specs import HeadSpec

TOTAL_STRIDE = 16
SHIPPED_HEADS = tuple(sorted(spec.name for spec in HEADS))
"""Without those that tests register."""


def small_arch(head: str, resolution: tuple[int, int] = (64, 96)) -> Arch:
    """An arch of total stride 16 whose neck ends where the head needs it, at 2 where it does not mind."""
    stages = tuple(
        Stage("mbconv", "relu6", stride, width, (Block(3, 1),))
        for stride, width in ((2, 8), (2, 8), (2, 16), (1, 16))
    )
    spec = part(HeadSpec, head)
    finest = spec.strides[-1] if spec.strides else 2
    doublings = (TOTAL_STRIDE // finest).bit_length() - 1
    neck = Neck("fusion_deconv", "deconv4x4", (16, 16, 8)[:doublings])
    return Arch(resolution, Stem(8, "relu6"), stages, neck, Head(head, freeze_options(spec.options)))
