"""How many input pixels one cell of a map covers, free of pydantic as the codecs are."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from nas.space.arch import Arch
from nas.space.necks import neck_strides

STEM_STRIDES: Mapping[str, int] = MappingProxyType({"separable": 2, "triple": 2, "conv": 2})


def total_stride(stem_type: str, strides: Collection[int]) -> int:
    """Input pixels that one cell of the last stage covers, per axis."""
    stride = STEM_STRIDES[stem_type]
    for factor in strides:
        stride *= factor
    return stride


def finest_stride(arch: Arch) -> int:
    """Input px per cell of the finest map that the neck gives."""
    return level_strides(arch)[-1]


def level_strides(arch: Arch) -> tuple[int, ...]:
    """Input px per cell of all maps that the neck gives to the head, coarsest first."""
    return neck_strides(
        arch.neck.type,
        widths=len(arch.neck.widths),
        coarser=arch.neck.coarser,
        total_stride=total_stride(arch.stem.type, [stage.stride for stage in arch.stages]),
    )
