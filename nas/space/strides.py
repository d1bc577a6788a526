"""How many input pixels one cell of a map covers, free of pydantic as the codecs are."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

STEM_STRIDES: Mapping[str, int] = MappingProxyType({"separable": 2, "triple": 2, "conv": 2})


def total_stride(stem_type: str, strides: Collection[int]) -> int:
    """Input pixels that one cell of the last stage covers, per axis."""
    stride = STEM_STRIDES[stem_type]
    for factor in strides:
        stride *= factor
    return stride
