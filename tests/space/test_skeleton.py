from pathlib import Path
from typing import Any

import pytest
import yaml

from nas.errors import UserError
from nas.space import Skeleton, skeleton_names


@pytest.fixture
def data() -> dict[str, Any]:
    return Skeleton.load("crowdpose14").to_json()


@pytest.mark.parametrize("name", skeleton_names())
def test_shipped_skeletons_are_sound(name: str) -> None:
    skeleton = Skeleton.load(name)
    assert skeleton.name == name
    assert len(skeleton) == int(name[-2:]) == len(skeleton.sigmas)
    assert Skeleton.from_json(skeleton.to_json()) == skeleton
    assert skeleton.sigmas_source
    for position, partner in enumerate(skeleton.flip_index):
        here, there = skeleton.keypoints[position], skeleton.keypoints[partner]
        assert skeleton.flip_index[partner] == position
        assert here.replace("left_", "*").replace("right_", "*") == there.replace("right_", "*").replace(
            "left_", "*"
        )
        assert (here == there) == (not here.startswith(("left_", "right_")))
        assert skeleton.sigmas[position] == skeleton.sigmas[partner]


def test_shipped_skeletons_are_these() -> None:
    assert skeleton_names() == ("coco17", "crowdpose14", "mpii16")


def test_coco_sigmas_are_pycocotools_own() -> None:
    params = pytest.importorskip("pycocotools.cocoeval").Params(iouType="keypoints")
    assert Skeleton.load("coco17").sigmas == pytest.approx(list(params.kpt_oks_sigmas))


def test_limbs_join_every_joint() -> None:
    for name in skeleton_names():
        skeleton = Skeleton.load(name)
        assert {joint for limb in skeleton.limb_index for joint in limb} == set(range(len(skeleton)))


def test_pck_segments() -> None:
    assert Skeleton.load("coco17").pck.torso == ("left_shoulder", "right_hip")
    assert Skeleton.load("coco17").pck.head is None
    assert Skeleton.load("mpii16").pck.head == ("head_top", "upper_neck")
    assert Skeleton.load("crowdpose14").pck.head == ("top_head", "neck")


def test_joints_map_by_name_and_by_alias() -> None:
    coco, crowd, mpii = (Skeleton.load(name) for name in ("coco17", "crowdpose14", "mpii16"))
    from_coco = crowd.joints_of(coco)
    assert from_coco[-2:] == (-1, -1)
    assert [coco.keypoints[joint] for joint in from_coco[:-2]] == list(crowd.keypoints[:-2])
    assert [mpii.keypoints[joint] for joint in crowd.joints_of(mpii)[-2:]] == ["head_top", "upper_neck"]
    assert coco.joints_of(crowd)[:5] == (-1,) * 5
    assert coco.joints_of(coco) == tuple(range(17))


def test_one_joint_is_no_two() -> None:
    """Of joints that may be the same the one of the very name is; else none is taken at random."""
    both = bare("both", "head_top", "neck", "upper_neck")
    assert both.joints_of(bare("source", "neck", "head")) == (1, 0, -1)
    assert bare("wanted", "neck").joints_of(both) == (1,)
    with pytest.raises(UserError, match="several joints that may be 'head' of 'wanted': top_head, head_top"):
        bare("wanted", "head").joints_of(bare("source", "top_head", "head_top"))


def bare(name: str, *keypoints: str) -> Skeleton:
    return Skeleton(name=name, keypoints=keypoints, flip_pairs=(), sigmas=())


def test_data_sets_name_their_joints_like_the_skeletons(shared_data: Path) -> None:
    import json

    for name in ("coco17", "crowdpose14"):
        annotations = json.loads((shared_data / "lspet" / "annotations" / f"{name}_val.json").read_text())
        assert tuple(annotations["categories"][0]["keypoints"]) == Skeleton.load(name).keypoints


def test_own_skeleton_file(tmp_path: Path, data: dict[str, Any]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data | {"name": "mine"}))
    assert Skeleton.load(path).name == "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigmas": ...}, "'sigmas' is missing"),
        ({"sigmas": [0.05] * 13}, "sigmas: 14 joints, but 13 sigmas"),
        ({"sigmas": [0.05] * 13 + [0]}, "sigmas.13: expected a number between 0 and 1, got 0"),
        ({"flip_pairs": [["left_knee", "tail"]]}, "flip_pairs: 'tail' is not among the keypoints"),
        (
            {"flip_pairs": [["neck", "left_knee"], ["neck", "top_head"]]},
            "flip_pairs: every joint has one mirror",
        ),
        ({"limbs": [["neck", "tail"]]}, "limbs: 'tail' is not among the keypoints"),
        ({"pck": {"torso": ["neck", "tail"]}}, "pck: 'tail' is not among the keypoints"),
        ({"keypoints": ["neck"] * 14}, "keypoints: every name must occur once"),
        ({"colour": 3}, "unknown field 'colour'"),
    ],
)
def test_faults_name_the_field(data: dict[str, Any], change: dict[str, Any], message: str) -> None:
    changed = {key: value for key, value in (data | change).items() if value is not ...}
    with pytest.raises(UserError) as error:
        Skeleton.from_json(changed, source="mine.yaml")
    assert str(error.value).startswith(f"mine.yaml: {message}")


def test_unknown_names_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"known name \(coco17, crowdpose14, mpii16\)"):
        Skeleton.load("coco18")
    with pytest.raises(UserError, match="known name"):
        Skeleton.load("aliases")
    with pytest.raises(UserError, match="has no joint 'tail'"):
        Skeleton.load("coco17").index("tail")
    broken = tmp_path / "broken.yaml"
    broken.write_text("keypoints: [a,\n  b: c: d")
    with pytest.raises(UserError, match="cannot be read as YAML") as error:
        Skeleton.load(broken)
    assert "\n" not in str(error.value)
