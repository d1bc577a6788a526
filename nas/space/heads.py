"""What packages that bring a head may import it from; `nas.space` has it for all parts."""

from nas.space.parts import register as register_head
from nas.space.specs import HeadSpec

__all__ = ["HeadSpec", "register_head"]
