"""Skeletons: the joints of a data set, how they mirror, and how they are scored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter

from nas.documents import read_yaml, shown
from nas.errors import UserError
from nas.files import is_file
from nas.space.fields import AsTuple, mapped, validated

_FOLDER = Path(__file__).resolve().parent / "skeletons"
_ALIASES = _FOLDER / "aliases.yaml"


def _sigma(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value < 1:
        raise ValueError(f"expected a number between 0 and 1, got {shown(value)}")
    return float(value)


_Names = Annotated[tuple[str, ...], AsTuple, Field(min_length=1)]
Pair = Annotated[tuple[str, str], AsTuple]
_Pairs = Annotated[tuple[Pair, ...], AsTuple]


@dataclass(frozen=True)
class PckSegments:
    """The pairs of joints whose distance scales PCK's threshold; None where the skeleton has no such pair."""

    torso: Pair | None = None
    head: Pair | None = None


@dataclass(frozen=True)
class Skeleton:
    """The joints of a person.

    Args:
        name: how weights and reports call it.
        keypoints: the joints' names in the order of all arrays.
        flip_pairs: pairs of joints that change places in a mirrored image.
        sigmas: OKS standard deviations relative to the person's scale, one per joint.
        limbs: pairs of joints that are drawn as lines.
        pck: reference segments of PCK.
        sigmas_source: where the sigmas come from.
    """

    name: Annotated[str, Field(min_length=1)]
    keypoints: _Names
    flip_pairs: _Pairs
    sigmas: Annotated[tuple[Annotated[float, BeforeValidator(_sigma)], ...], AsTuple]
    limbs: _Pairs = ()
    pck: Annotated[PckSegments, mapped(PckSegments)] = field(default_factory=PckSegments)
    sigmas_source: str = ""

    def __len__(self) -> int:
        return len(self.keypoints)

    def index(self, name: str) -> int:
        """The position of a joint. Raises UserError for one that the skeleton lacks."""
        try:
            return self._positions[name]
        except KeyError:
            known = ", ".join(self.keypoints)
            raise UserError(f"skeleton {self.name!r} has no joint {name!r}; its joints: {known}") from None

    @cached_property
    def flip_index(self) -> tuple[int, ...]:
        """For each joint the joint whose place it takes in a mirrored image."""
        index = list(range(len(self.keypoints)))
        for left, right in self.flip_pairs:
            index[self.index(left)], index[self.index(right)] = self.index(right), self.index(left)
        return tuple(index)

    @cached_property
    def limb_index(self) -> tuple[tuple[int, int], ...]:
        """The limbs as positions."""
        return tuple((self.index(start), self.index(end)) for start, end in self.limbs)

    def joints_of(self, source: "Skeleton") -> tuple[int, ...]:
        """Where each joint of this skeleton lies in `source`; -1 where `source` has no such joint.

        Joints match by name, else by a name that `skeletons/aliases.yaml` holds to be the same.

        Raises:
            UserError: several joints of `source` may be one of this skeleton, none of them by its very name.
        """
        return tuple(self._joint_of(source, name) for name in self.keypoints)

    def _joint_of(self, source: "Skeleton", name: str) -> int:
        if name in source._positions:
            return source._positions[name]
        alias = _aliases().get
        others = [other for other in source.keypoints if other not in self._positions]
        alike = [other for other in others if alias(other, other) == alias(name, name)]
        if len(alike) > 1:
            raise UserError(
                f"skeleton {source.name!r} has several joints that may be {name!r} of {self.name!r}: "
                f"{', '.join(alike)}; rename the one that is meant"
            )
        return source._positions[alike[0]] if alike else -1

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal skeleton back."""
        data: dict[str, Any] = _reader().dump_python(self, mode="json")
        return {**data, "pck": {name: pair for name, pair in data["pck"].items() if pair}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, source: str = "skeleton") -> "Skeleton":
        """The skeleton of plain data. Raises UserError `source: field: what is wrong`."""
        return validated(_reader().validate_python, data, source)

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Skeleton":
        """A shipped skeleton by its name, or one of a YAML file.

        Raises:
            UserError: unknown name, unreadable file, or a fault in it (missing sigmas above all: a default
                would make scores look better than they are).
        """
        path = Path(name_or_path)
        if not is_file(path):
            path = _FOLDER / f"{name_or_path}.yaml"
        if not is_file(path) or path == _ALIASES:
            known = ", ".join(skeleton_names())
            raise UserError(f"{str(name_or_path)!r} is neither a skeleton file nor a known name ({known})")
        return cls.from_json(read_yaml(path), source=str(path))

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.keypoints)}


def skeleton_names() -> tuple[str, ...]:
    """The names of the shipped skeletons."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml") if path != _ALIASES))


@cache
def _aliases() -> Mapping[str, str]:
    """The name that stands for all that mean the same joint, by each of them."""
    groups = read_yaml(_ALIASES)
    return {name: group[0] for group in groups for name in group}


@cache
def _reader() -> TypeAdapter[Skeleton]:
    """What reads the plain data of a skeleton."""
    return TypeAdapter(Annotated[Skeleton, mapped(Skeleton), AfterValidator(_consistent)])


def _consistent(skeleton: Skeleton) -> Skeleton:
    if len(set(skeleton.keypoints)) != len(skeleton.keypoints):
        raise ValueError("keypoints: every name must occur once")
    if len(skeleton.sigmas) != len(skeleton.keypoints):
        raise ValueError(f"sigmas: {len(skeleton.keypoints)} joints, but {len(skeleton.sigmas)} sigmas")
    segments = [pair for pair in (skeleton.pck.torso, skeleton.pck.head) if pair]
    named = {"flip_pairs": skeleton.flip_pairs, "limbs": skeleton.limbs, "pck": segments}
    for field_name, pairs in named.items():
        for name in (name for pair in pairs for name in pair):
            if name not in skeleton.keypoints:
                raise ValueError(f"{field_name}: {name!r} is not among the keypoints")
    mirrored = [name for pair in skeleton.flip_pairs for name in pair]
    if len(set(mirrored)) != len(mirrored):
        raise ValueError("flip_pairs: every joint has one mirror image at most")
    return skeleton
