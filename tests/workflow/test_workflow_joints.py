"""What the names of joints tell, and what they do not."""

import pytest

from nas.space import Skeleton
from nas.workflow.joints import DEFAULT_SIGMA, guess_skeleton

NINE = ("Neck", "L_Shoulder", "R_Shoulder", "L_Hip", "R_Hip", "L_Knee", "R_Knee", "tail", "L_Hoof")


@pytest.mark.parametrize("name", ["coco17", "crowdpose14", "mpii16"])
def test_a_shipped_skeletons_names_give_that_skeleton(name: str) -> None:
    shipped = Skeleton.load(name)
    limbs = [[start + 1, end + 1] for start, end in shipped.limb_index]
    guessed = guess_skeleton("mine", shipped.keypoints, limbs)
    assert set(guessed.skeleton.flip_pairs) == set(shipped.flip_pairs)
    assert guessed.skeleton.sigmas == shipped.sigmas
    assert guessed.skeleton.limbs == shipped.limbs
    assert guessed.skeleton.pck.torso == shipped.pck.torso
    assert guessed.known == shipped.keypoints
    assert guessed.mirrors
    assert Skeleton.from_json(guessed.skeleton.to_json()) == guessed.skeleton


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_knee", "right_knee"),
        ("knee_left", "knee_right"),
        ("L_Knee", "R_Knee"),
        ("kneeL", "kneeR"),
        ("LKnee", "RKnee"),
        ("LeftKnee", "RightKnee"),
        ("leftknee", "rightknee"),
        ("Knee (left)", "Knee (right)"),
        ("front-left-knee", "front-right-knee"),
        ("l.knee.2", "r.knee.2"),
    ],
)
def test_left_and_right_are_read_in_many_spellings(left: str, right: str) -> None:
    guessed = guess_skeleton("mine", ("nose", right, "tail", left))
    assert guessed.skeleton.flip_pairs == ((left, right),)
    assert guessed.unpaired == ()
    assert guessed.mirrors


def test_names_that_only_look_sided_pair_with_nobody() -> None:
    for joints in (("upright", "bright", "cleft"), ("a", "b", "c"), ("1", "2", "3"), ("L1", "L2", "S1")):
        guessed = guess_skeleton("mine", joints)
        assert guessed.skeleton.flip_pairs == ()
        assert guessed.unpaired == ()
        assert not guessed.mirrors


def test_a_joint_without_its_other_side_turns_mirroring_off() -> None:
    guessed = guess_skeleton("mine", ("left_hand", "right_hand", "left_foot"))
    assert guessed.skeleton.flip_pairs == (("left_hand", "right_hand"),)
    assert guessed.unpaired == ("left_foot",)
    assert not guessed.mirrors


def test_two_joints_of_one_meaning_are_paired_with_none() -> None:
    guessed = guess_skeleton("mine", ("left_ear", "L_Ear", "right_ear"))
    assert guessed.skeleton.flip_pairs == ()
    assert set(guessed.unpaired) == {"left_ear", "L_Ear", "right_ear"}


def test_known_joints_bring_their_sigmas_and_others_the_default() -> None:
    guessed = guess_skeleton("mine", NINE)
    sigmas = dict(zip(NINE, guessed.skeleton.sigmas, strict=True))
    coco = Skeleton.load("coco17")
    assert sigmas["R_Knee"] == coco.sigmas[coco.index("right_knee")]
    assert sigmas["tail"] == sigmas["L_Hoof"] == DEFAULT_SIGMA
    assert guessed.known == NINE[:7]
    assert f"{DEFAULT_SIGMA} for the others, a guess" in guessed.skeleton.sigmas_source
    assert "Neck" in guessed.skeleton.sigmas_source
    assert guessed.skeleton.pck.torso == ("L_Shoulder", "R_Hip")


def test_limbs_are_the_files_where_it_has_some_else_those_of_a_skeleton_that_knows_the_joints() -> None:
    guessed = guess_skeleton("mine", NINE, [[1, 8], [8, 1], [0, 1], [1, 10], [2, 2], "words", [1, 2.5]])
    assert guessed.skeleton.limbs == (("Neck", "tail"), ("tail", "Neck"))
    assert guessed.from_file
    assert guessed.dropped == 5
    for limbs in (None, [], "no list"):
        guessed = guess_skeleton("mine", NINE, limbs)
        assert not guessed.from_file
        assert ("L_Hip", "L_Knee") in guessed.skeleton.limbs
        assert ("Neck", "L_Shoulder") in guessed.skeleton.limbs
    assert guess_skeleton("mine", ("a", "b")).skeleton.limbs == ()
