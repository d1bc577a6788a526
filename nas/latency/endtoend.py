"""End-to-end time: what a user pays for a picture, put together from its parts."""

from dataclasses import dataclass

from nas.errors import UserError
from nas.space.arch import Arch
from nas.space.parts import part
from nas.space.specs import HeadSpec


@dataclass(frozen=True)
class EndToEnd:
    """How often a network runs for one picture, and what runs before it.

    Args:
        people: expected per picture; a head on person crops runs once for each.
        detector_ms: of the person detector that finds the crops; 0 where they come for nothing.
    """

    people: int = 1
    detector_ms: float = 0.0

    def runs(self, arch: Arch) -> int:
        """How often the network runs for one picture: once, or once per person."""
        return self.people if _on_crops(arch) else 1

    def total_ms(self, arch: Arch, *, network_ms: float, grouping_ms: float) -> float:
        """The detector once, network (with decode) and grouping as often as they run.

        Raises:
            UserError: a detector is given for a network that looks at whole pictures.
        """
        if self.detector_ms and not _on_crops(arch):
            raise UserError(
                f"{arch.head.type!r} finds people in whole pictures by itself: no time of a person detector "
                "can be added to it; leave `detector` and `detector_ms` out"
            )
        return self.detector_ms + self.runs(arch) * (network_ms + grouping_ms)


def check_detector(*, detector_ms: float, here: bool) -> None:
    """Raise UserError where a person detector's model cannot be timed, or needs not be.

    Args:
        detector_ms: what was given as its time; 0 where nothing was.
        here: whether networks are predicted for this machine.
    """
    if detector_ms:
        raise UserError("`detector` times a model and `detector_ms` names a time: give one of them")
    if not here:
        raise UserError(
            "`detector` is timed on this machine, and the predictor is of another one; give `detector_ms`"
        )


def _on_crops(arch: Arch) -> bool:
    return part(HeadSpec, arch.head.type).task == "crop"
