"""What packages that bring a head import it from; `nas.space.parts` has it for all parts."""

from nas.space.parts import HeadSpec
from nas.space.parts import register as register_head

__all__ = ["HeadSpec", "register_head"]
