"""Space: architectures, search spaces, head specifications and skeletons. No torch."""

from nas.space.arch import Arch, Block, Head, Neck, Stage, Stem
from nas.space.dimension import Dimension
from nas.space.heads import HeadSpec, head_names, head_spec, register_head
from nas.space.litepose import arch_from_litepose, arch_to_litepose
from nas.space.manager import ArchManager
from nas.space.skeleton import PckSegments, Skeleton, skeleton_names
from nas.space.space import SearchSpace
from nas.space.spec import SpaceSpec

__all__ = [
    "Arch",
    "ArchManager",
    "Block",
    "Dimension",
    "Head",
    "HeadSpec",
    "Neck",
    "PckSegments",
    "SearchSpace",
    "Skeleton",
    "SpaceSpec",
    "Stage",
    "Stem",
    "arch_from_litepose",
    "arch_to_litepose",
    "head_names",
    "head_spec",
    "register_head",
    "skeleton_names",
]
