"""What stages are made of, one file per type of block; `nas.space.catalogue` says which they are."""

from nas.models.blocks.place import BlockPlace
from nas.models.blocks.sequence import BlockSequence

__all__ = ["BlockPlace", "BlockSequence"]
