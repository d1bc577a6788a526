"""A skeleton for a file's joints: what it says of them, and what their names tell."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas.coco.categories import file_skeleton
from nas.space.skeleton import Pair, PckSegments, Skeleton, skeleton_names

DEFAULT_SIGMA = 0.079
"""Of a joint that no shipped skeleton knows: COCO's sigma of shoulders; of eyes it is .025, of hips .107."""

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_GLUED = re.compile(r"(?P<before>left|right)(\w{2,})|(\w{2,})(?P<after>left|right)")


@dataclass(frozen=True)
class GuessedSkeleton:
    """A skeleton, and what of it the file did not say.

    Args:
        skeleton: complete, as it is written.
        known: names of the joints whose sigmas are those of a shipped skeleton.
        unpaired: names that speak of a side of which the other has no joint.
        from_file: whether the limbs are the file's own.
        dropped: limbs of the file that name no two of its joints.
    """

    skeleton: Skeleton
    known: tuple[str, ...]
    unpaired: tuple[str, ...]
    from_file: bool
    dropped: int = 0

    @property
    def mirrors(self) -> bool:
        """Whether it is known what a mirrored picture of a person shows."""
        return bool(self.skeleton.flip_pairs) and not self.unpaired


def guess_skeleton(name: str, joints: Sequence[str], limbs: Any = None) -> GuessedSkeleton:
    """The skeleton of a file's joints.

    Args:
        name: that it gets.
        joints: in the file's order.
        limbs: what the file's category says of its `skeleton`: pairs of positions, from 1; anything else is
            passed over.
    """
    own, dropped = _own_limbs(limbs, joints)
    pairs, unpaired = _flip_pairs(joints)
    sigmas: dict[str, float] = {}
    joined: list[Pair] = []
    segments: dict[str, Pair] = {}
    for known in map(Skeleton.load, sorted(skeleton_names())):  # COCO's comes first
        places = _common_names(joints).joints_of(known)
        called = {known.keypoints[at]: joint for joint, at in zip(joints, places, strict=True) if at >= 0}
        for joint, ours in called.items():
            sigmas.setdefault(ours, known.sigmas[known.index(joint)])
        limbs_there = [_renamed(pair, called) for pair in known.limbs if set(pair) <= called.keys()]
        joined = max(joined, limbs_there, key=len)
        for reference in ("torso", "head"):
            pair = getattr(known.pck, reference)
            if pair and set(pair) <= called.keys():
                segments.setdefault(reference, _renamed(pair, called))
    skeleton = Skeleton(
        name=name,
        keypoints=tuple(joints),
        flip_pairs=pairs,
        sigmas=tuple(sigmas.get(joint, DEFAULT_SIGMA) for joint in joints),
        limbs=own or tuple(joined),
        pck=PckSegments(**segments),
        sigmas_source=_source(joints, sigmas),
    )
    return GuessedSkeleton(skeleton, tuple(j for j in joints if j in sigmas), unpaired, bool(own), dropped)


def _own_limbs(limbs: Any, joints: Sequence[str]) -> tuple[tuple[Pair, ...], int]:
    """The limbs by name, and how many entries are none."""
    found: dict[Pair, None] = {}
    entries = limbs if isinstance(limbs, list) else []
    dropped = 0
    for entry in entries:
        whole = isinstance(entry, list) and len(entry) == 2 and all(type(at) is int for at in entry)
        if whole and all(0 < at <= len(joints) for at in entry) and entry[0] != entry[1]:
            found[joints[entry[0] - 1], joints[entry[1] - 1]] = None
        else:
            dropped += 1
    return tuple(found), dropped


def _flip_pairs(joints: Sequence[str]) -> tuple[tuple[Pair, ...], tuple[str, ...]]:
    """Pairs (left, right) by their names, and the names of a side whose other side is missing."""
    sided: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for joint in joints:
        side, rest = _read(joint)
        if side:
            sided[side, rest].append(joint)
    pairs: list[Pair] = []
    unpaired: list[str] = []
    for (side, rest), names in sided.items():
        others = sided.get(("right" if side == "left" else "left", rest), [])
        if len(names) == len(others) == 1:
            if side == "left":
                pairs.append((names[0], others[0]))
        elif any(_says_side(name) for name in names):
            unpaired += names
    return tuple(pairs), tuple(unpaired)


def _read(joint: str) -> tuple[str | None, tuple[str, ...]]:
    """The side that a name speaks of, and its other words."""
    words = [word.casefold() for word in _WORDS.findall(joint)]
    sides = [at for at, word in enumerate(words) if word in _SIDES]
    if len(sides) == 1:
        (at,) = sides
        return _SIDES[words[at]], (*words[:at], *words[at + 1 :])
    for at, word in enumerate(words):
        if not sides and (glued := _GLUED.fullmatch(word)):
            rest = glued[2] or glued[3]
            return glued["before"] or glued["after"], (*words[:at], rest, *words[at + 1 :])
    return None, tuple(words)


def _says_side(joint: str) -> bool:
    """Whether a name says left or right in so many words; a single letter may mean anything."""
    return bool({"left", "right"}.intersection(word.casefold() for word in _WORDS.findall(joint)))


def _common_names(joints: Sequence[str]) -> Skeleton:
    """The joints by the names that shipped skeletons would give them."""
    names = []
    for joint in joints:
        side, rest = _read(joint)
        names.append("_".join([*([side] if side else []), *rest]) or joint)
    unique = [name if names.count(name) == 1 else joint for name, joint in zip(names, joints, strict=True)]
    return file_skeleton("names", unique)


def _renamed(pair: Pair, called: dict[str, str]) -> Pair:
    return called[pair[0]], called[pair[1]]


def _source(joints: Sequence[str], sigmas: dict[str, float]) -> str:
    known = [joint for joint in joints if joint in sigmas]
    if len(known) == len(joints):
        return "those of shipped skeletons, by name"
    parts = [f"those of shipped skeletons for {', '.join(known)}"] if known else []
    return "; ".join(
        [
            *parts,
            f"{DEFAULT_SIGMA} for the others, a guess: AP compares networks on this set, and nothing else",
        ]
    )
