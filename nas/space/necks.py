"""The kinds of necks, torch-free: how each is described, and which scales it gives."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

CONVOLUTIONS = ("separable", "dense")
"""How a pyramid's 3x3 convolutions are made: 3x3 depthwise and 1x1, or dense."""

_Strides = Callable[[int, int, int], tuple[int, ...]]


def _last_stage(total: int, widths: int, coarser: int) -> tuple[int, ...]:
    return (total,)


def _above_the_last_stage(total: int, widths: int, coarser: int) -> tuple[int, ...]:
    return tuple(total // 2**level for level in range(min(widths, 1), widths + 1))


def _one_per_width(total: int, widths: int, coarser: int) -> tuple[int, ...]:
    return tuple(total * 2**coarser // 2**level for level in range(widths))


@dataclass(frozen=True)
class NeckKind:
    """A type of neck.

    Args:
        strides: of total stride, number of widths and number of coarser levels, the strides (px) of the maps
            that it gives, coarsest first.
        fields: what describes it besides its widths, and what a search space that leaves it out means; None
            where it must be given.
        pyramid: whether it gives one level per width, and levels coarser than the last stage on demand.
    """

    strides: _Strides
    fields: Mapping[str, str | None] = field(default_factory=dict)
    pyramid: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))


_PYRAMID = NeckKind(_one_per_width, {"upsampler": "nearest", "convolution": "separable"}, pyramid=True)

NECK_KINDS: Mapping[str, NeckKind] = MappingProxyType(
    {
        "none": NeckKind(_last_stage),
        "fusion_deconv": NeckKind(_above_the_last_stage, {"upsampler": None}),
        "fpn": _PYRAMID,
        "pan": _PYRAMID,
    }
)
NECK_TYPES = tuple(NECK_KINDS)


def neck_strides(neck: str, *, widths: int, coarser: int, total_stride: int) -> tuple[int, ...]:
    """The strides (px) of the maps that a neck gives to the heads, coarsest first.

    Args:
        neck: its type.
        widths: how many it has.
        coarser: how many levels are coarser than the last stage.
        total_stride: of the last stage (px).
    """
    return NECK_KINDS[neck].strides(total_stride, widths, coarser)


def neck_fault(neck: str, *, widths: int, coarser: int, total_stride: int) -> str | None:
    """Why a neck of that many widths does not fit a total stride, led by the field; None where it does."""
    if neck == "none":
        return None if widths == 0 else "widths: the neck 'none' takes no widths"
    if widths == 0:
        return f"widths: the neck {neck!r} needs at least one width"
    if coarser and not NECK_KINDS[neck].pyramid:
        return f"coarser: the neck {neck!r} has no levels coarser than the last stage"
    if coarser >= max(widths, 1):
        return f"coarser: {coarser} of {widths} levels leave none for the stages"
    if neck_strides(neck, widths=widths, coarser=coarser, total_stride=total_stride)[-1] < 2:
        return f"widths: {widths} levels do not fit a total stride of {total_stride}"
    return None


def field_fault(neck: str, given: Collection[str]) -> str | None:
    """Which field a neck lacks or does not know, as `field: what is wrong`; None where they are right."""
    known = NECK_KINDS[neck].fields
    for name in given:
        if name not in known:
            return f"{name}: not known here, the neck {neck!r} has none"
    for name in known:
        if name not in given:
            return f"{name}: is missing"
    return None
