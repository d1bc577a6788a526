"""The pairs of keypoints that have fields."""

import pytest

from nas.codecs.limb_sets import LIMB_SETS, checked_limbs, limb_set
from nas.errors import UserError
from nas.space.skeleton import Skeleton, skeleton_names

LETTERS = ("a", "b", "c", "d", "e")
FORK = Skeleton(
    "fork", LETTERS, (("d", "e"),), (0.1,) * 5, limbs=(("a", "b"), ("b", "c"), ("c", "d"), ("e", "c"))
)


def names(limbs):
    return ["".join(sorted(LETTERS[joint] for joint in limb)) for limb in limbs]


def test_sets_by_hand():
    assert names(limb_set(FORK, "skeleton")) == ["ab", "bc", "cd", "ce"]
    assert names(limb_set(FORK, "mirrored")) == ["ab", "bc", "cd", "ce", "de"]
    assert names(limb_set(FORK, "bridged")) == ["ab", "bc", "cd", "ce", "de", "ac", "bd", "be"]


@pytest.mark.parametrize("name", skeleton_names())
def test_each_set_begins_with_the_one_before_and_is_its_own_mirror_image(name):
    skeleton = Skeleton.load(name)
    assert limb_set(skeleton, "skeleton") == checked_limbs(skeleton) == skeleton.limb_index
    before = ()
    for limbs in (limb_set(skeleton, kind) for kind in LIMB_SETS):
        assert limbs[: len(before)] == before
        known = {frozenset(limb) for limb in limbs}
        assert len(known) == len(limbs)
        flip = skeleton.flip_index
        assert {frozenset(flip[joint] for joint in limb) for limb in limbs} == known
        before = limbs


@pytest.mark.parametrize(
    ("limbs", "pairs", "message"),
    [
        ((), (), "names no limbs"),
        ((("a", "b"), ("c", "d")), (), "no chain of limbs joins 'c' to 'a'"),
        ((("a", "b"), ("b", "c"), ("c", "d"), ("b", "a")), (), "each must occur once"),
        ((("a", "b"), ("b", "c"), ("c", "d"), ("d", "d")), (), "join two keypoints"),
        ((("a", "b"), ("b", "c"), ("c", "d")), (("c", "d"),), "'b' to 'c' has no mirror image"),
    ],
)
def test_skeletons_that_cannot_serve_are_named(limbs, pairs, message):
    skeleton = Skeleton("own", LETTERS[:4], pairs, (0.1,) * 4, limbs=limbs)
    with pytest.raises(UserError, match=f"skeleton 'own': limbs: .*{message}"):
        limb_set(skeleton, "skeleton")
