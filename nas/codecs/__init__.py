"""Codecs: training targets from annotated people, and poses from what a decode gives. Numpy only."""

from nas.codecs.base import Candidates, Codec, Targets
from nas.codecs.types import People, Poses

__all__ = ["Candidates", "Codec", "People", "Poses", "Targets"]
