"""How a network labels images, and how its poses are merged with given labels."""

from dataclasses import asdict, dataclass
from typing import Any

from nas.errors import UserError
from nas.pictures import Orientation


@dataclass(frozen=True)
class Views:
    """How a network looks at a person, or at a whole image.

    Args:
        rotations: degrees by which it is turned, clockwise; in whole images the first one says who is there.
        flip: whether it is seen mirrored as well, at every rotation.
        agreement: how far from their middle the places of a joint may lie, in the person's scale.

    Raises:
        UserError: there is no rotation, or one comes twice.
    """

    rotations: tuple[float, ...] = (0.0,)
    flip: bool = False
    agreement: float = 0.1

    def __post_init__(self) -> None:
        if not self.rotations or len({rotation % 360 for rotation in self.rotations}) < len(self.rotations):
            raise UserError("`rotations`: give one rotation or more, each of them once")

    @property
    def each(self) -> tuple[tuple[float, bool], ...]:
        """Rotation and mirroring of all views, the first one as it is."""
        mirrored = (False, True) if self.flip else (False,)
        return tuple((rotation, flip) for flip in mirrored for rotation in self.rotations)


@dataclass(frozen=True)
class LabelSettings:
    """What becomes a label.

    Args:
        views: of every person.
        min_score: poses of a lower score are none.
        min_keypoint: joints of a lower score are unlabelled.
        min_box: detections of a lower score are nobody.
        orientation: whether pictures are turned as their orientation flag says.
    """

    views: Views = Views()
    min_score: float = 0.3
    min_keypoint: float = 0.5
    min_box: float = 0.5
    orientation: Orientation = "turned"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class MergeSettings:
    """How poses change given labels. Distances are in the person's scale, the square root of the area.

    Args:
        far: a given joint farther away than this from the network's contradicts it; half a torso of people
            who stand is about 0.3.
        sure: the least score of a joint of the network that drops a given one which contradicts it.
        same: the least share of the joints seen by both that has to agree; else the pose is taken for
            somebody else's, and the given labels stay.
    """

    far: float = 0.3
    sure: float = 0.6
    same: float = 0.6

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)
