"""Space: architectures, search spaces, descriptions of parts, and skeletons. No torch.

Names load on first use: what runs an exported network needs archs and skeletons only.
"""

from typing import TYPE_CHECKING

from nas.lazy import on_first_use

if TYPE_CHECKING:
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

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "nas.space.arch": ("Arch", "Block", "Head", "Neck", "Stage", "Stem", "arch_to_litepose"),
        "nas.space.dimension": ("Dimension",),
        "nas.space.heads": ("register_head",),
        "nas.space.manager": ("ArchManager",),
        "nas.space.parts": ("names", "part", "register"),
        "nas.space.skeleton": ("PckSegments", "Skeleton", "skeleton_names"),
        "nas.space.space": ("SearchSpace",),
        "nas.space.spec": ("SpaceSpec",),
        "nas.space.specs": (
            "BlockSpec",
            "HeadSpec",
            "NeckSpec",
            "PartSpec",
            "Range",
            "StemSpec",
            "UpsamplerSpec",
            "last_stage",
        ),
    },
)
