"""Space: architectures, search spaces, descriptions of parts, and skeletons. No torch."""

from nas.space.arch import Arch, Block, Head, Neck, Stage, Stem, arch_to_litepose
from nas.space.dimension import Dimension
from nas.space.heads import register_head
from nas.space.manager import ArchManager
from nas.space.parts import names, part, register
from nas.space.skeleton import PckSegments, Skeleton, skeleton_names
from nas.space.space import SearchSpace
from nas.space.spec import SpaceSpec
from nas.space.specs import (
    BlockSpec,
    HeadSpec,
    NeckSpec,
    PartSpec,
    Range,
    StemSpec,
    UpsamplerSpec,
    last_stage,
)

__all__ = [
    "Arch",
    "ArchManager",
    "Block",
    "BlockSpec",
    "Dimension",
    "Head",
    "HeadSpec",
    "Neck",
    "NeckSpec",
    "PartSpec",
    "PckSegments",
    "Range",
    "SearchSpace",
    "Skeleton",
    "SpaceSpec",
    "Stage",
    "Stem",
    "StemSpec",
    "UpsamplerSpec",
    "arch_to_litepose",
    "last_stage",
    "names",
    "part",
    "register",
    "register_head",
    "skeleton_names",
]
