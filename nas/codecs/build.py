"""Codecs of heads."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas.codecs.base import Codec
from nas.space.parts import part
from nas.space.specs import HeadSpec

if TYPE_CHECKING:
    from nas.space.arch import Arch, Head
    from nas.space.skeleton import Skeleton


def codec_of(arch: "Arch", skeleton: "Skeleton") -> Codec:
    """The codec of an architecture's head. Raises UserError for a head that is not registered."""
    return head_codec(arch.head, skeleton, resolution=arch.resolution, strides=arch.level_strides)


def head_codec(
    head: "Head", skeleton: "Skeleton", *, resolution: tuple[int, int], strides: int | Sequence[int]
) -> Codec:
    """The codec of a head at an input (h, w), its maps of so many px per cell. Raises as `codec_of` does."""
    codec_class = part(HeadSpec, head.type).load_codec()
    codec: Codec = codec_class(skeleton, resolution, dict(head.options), stride=strides)
    return codec
