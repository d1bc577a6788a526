"""Necks: what joins the stages' features, one file per type that an architecture can name."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from nas.models.necks.fpn import FPN
from nas.models.necks.fusion_deconv import FusionDeconv
from nas.models.necks.none import NoNeck
from nas.models.necks.pan import PAN
from nas.models.necks.pyramid import CONVOLUTIONS
from nas.space.spec import NeckSpec

NECKS: Mapping[str, Callable[[Sequence[tuple[int, int]], NeckSpec], Any]] = MappingProxyType(
    {
        "none": NoNeck,
        "fusion_deconv": FusionDeconv,
        "fpn": FPN,
        "pan": PAN,
    }
)
"""By type, what builds a neck from channels and stride of stem and stages (finest first) and its choices.

The module is called as `module(features, neck, context)`; its `levels` say what it hands to the heads.
"""

__all__ = ["CONVOLUTIONS", "FPN", "NECKS", "PAN", "FusionDeconv", "NoNeck"]
