"""Which pairs of keypoints have part affinity fields: a skeleton's limbs, and what bridges hidden ones."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from nas.errors import UserError

if TYPE_CHECKING:  # devices group without pydantic
    from nas.space.skeleton import Skeleton

Limbs = tuple[tuple[int, int], ...]
"""The two keypoints of each limb, as positions."""

LIMB_SETS = ("skeleton", "mirrored", "bridged")
"""Each holds those before it; the first is the default."""


def limb_set(skeleton: "Skeleton", name: str) -> Limbs:
    """The limbs of a set: the skeleton's own first, then what each further set up to that of this name adds.

    "mirrored" adds every keypoint and its mirror image (ears, wrists, ankles, ...), "bridged" the pairs of
    keypoints that a third is joined to: they hold a person together of whom the keypoint between is hidden
    (after the dense connections of OpenPifPaf, Kreiss et al. 2021).

    Raises:
        UserError: the skeleton's limbs do not serve (`checked_limbs`).
    """
    own = checked_limbs(skeleton)
    mirrored = _without(((joint, twin) for joint, twin in enumerate(skeleton.flip_index)), own)
    bridging = _without(_second_neighbours(own, len(skeleton)), own + mirrored)
    count = 1 + LIMB_SETS.index(name)
    return sum((own, mirrored, bridging)[:count], ())


def checked_limbs(skeleton: "Skeleton") -> Limbs:
    """The skeleton's limbs as positions, once they serve to join a person: connected, their own mirror image.

    Cycles are welcome: they hold together people of whom a keypoint is missing.

    Raises:
        UserError: there are none; or it names a keypoint that no chain of limbs joins to the first, or a limb
            without mirror image.
    """
    limbs = skeleton.limb_index
    if not limbs:
        raise UserError(
            f"skeleton {skeleton.name!r}: limbs: it names no limbs; the part_affinity head joins "
            "keypoints by them: name some, or take another head"
        )
    reached, found = {0}, {0}
    while found:
        neighbours = {joint for limb in limbs if found & set(limb) for joint in limb}
        found = neighbours - reached
        reached |= found
    for joint, name in enumerate(skeleton.keypoints):
        if joint not in reached:
            raise UserError(
                f"skeleton {skeleton.name!r}: limbs: no chain of limbs joins {name!r} to "
                f"{skeleton.keypoints[0]!r}; the part_affinity head needs one"
            )
    known = {frozenset(limb) for limb in limbs}
    if len(known) != len(limbs) or any(start == end for start, end in limbs):
        raise UserError(f"skeleton {skeleton.name!r}: limbs: each must occur once and join two keypoints")
    flip = skeleton.flip_index
    for start, end in limbs:
        if frozenset((flip[start], flip[end])) not in known:
            raise UserError(
                f"skeleton {skeleton.name!r}: limbs: {skeleton.keypoints[start]!r} to "
                f"{skeleton.keypoints[end]!r} has no mirror image; the part_affinity head needs it"
            )
    return limbs


def _second_neighbours(limbs: Limbs, joints: int) -> list[tuple[int, int]]:
    """Pairs of keypoints that a third is joined to."""
    joined = np.zeros((joints, joints), int)
    for start, end in limbs:
        joined[start, end] = joined[end, start] = 1
    return [(start, end) for start, end in np.argwhere(joined @ joined).tolist()]


def _without(pairs: Iterable[tuple[int, int]], limbs: Limbs) -> Limbs:
    """The pairs that are no limbs yet, each once."""
    known = {frozenset(limb) for limb in limbs}
    return tuple((start, end) for start, end in pairs if start < end and frozenset((start, end)) not in known)
