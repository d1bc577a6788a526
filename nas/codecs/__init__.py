"""Codecs: training targets from annotated people, and poses from what a decode gives. Numpy only."""

from typing import TYPE_CHECKING

from nas.lazy import on_first_use

if TYPE_CHECKING:
    from nas.codecs.base import Candidates, Codec, Targets
    from nas.codecs.types import People, Poses

__all__ = ["Candidates", "Codec", "People", "Poses", "Targets"]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "nas.codecs.base": ("Candidates", "Codec", "Targets"),
        "nas.codecs.types": ("People", "Poses"),
    },
)
