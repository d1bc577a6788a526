"""MPII, as the released Matlab file and as a JSON list, as COCO files."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from nas.cli.main import run
from nas.data.convert import convert, mpii_matlab, write_coco
from nas.errors import UserError
from nas.space.skeleton import Skeleton

MPII = Skeleton.load("mpii16")
SIZE = (240, 320)


def struct(rows: list[dict[str, Any]]) -> np.ndarray:
    """A Matlab struct array; a field that a row lacks is empty, as Matlab has it."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    array = np.zeros((1, len(rows)), dtype=[(name, object) for name in names])
    for index, row in enumerate(rows):
        for name in names:
            array[0, index][name] = row.get(name, np.zeros((0, 0)))
    return array


def points(places: dict[int, tuple[float, float, Any]]) -> np.ndarray:
    """annopoints, in Matlab's pixels; visible None for a joint without the flag."""
    rows = []
    for id_, (x, y, visible) in places.items():
        flag = {} if visible is None else {"is_visible": visible}
        rows.append({"x": x, "y": y, "id": id_} | flag)
    return struct([{"point": struct(rows)}])


def person(places: dict[int, tuple[float, float, Any]] | None, **more: Any) -> dict[str, Any]:
    head = {"x1": 101, "y1": 31, "x2": 131, "y2": 71}
    place = {"scale": 0.5, "objpos": struct([{"x": 121, "y": 101}])}
    return head | place | ({} if places is None else {"annopoints": points(places)}) | more


FIRST = {0: (111.0, 141.0, 1.0), 9: (116.0, 41.0, None), 10: (91.5, 91.0, 0.0), 15: (141.0, 96.0, "1")}
SECOND = {8: (61.0, 51.0, None)}


def matlab(folder: Path) -> Path:
    """Image 1 with two people, 2 of the test set, 3 with one person and one without joints, 4 with nobody."""
    (folder / "images").mkdir()
    names = ["011.jpg", "012.jpg", "013.jpg", "014.jpg"]
    for name in names:
        cv2.imwrite(str(folder / "images" / name), np.zeros((*SIZE, 3), np.uint8))
    people: list[Any] = [
        struct([person(FIRST), person(SECOND, scale=1.0)]),
        struct([person(None)]),
        struct([person(SECOND), person(None)]),
        np.zeros((0, 0)),
    ]
    images = struct(
        [
            {"image": struct([{"name": name}]), "annorect": rects}
            for name, rects in zip(names, people, strict=True)
        ]
    )
    release = struct([{"annolist": images, "img_train": np.array([[1, 0, 1, 1]]), "version": "12"}])
    savemat(folder / "mpii.mat", {"RELEASE": release})
    return folder / "mpii.mat"


def test_the_matlab_file(tmp_path: Path) -> None:
    converted = convert(matlab(tmp_path), format_="mpii", images=tmp_path / "images")
    loaded = write_coco(converted, tmp_path / "out.json")
    assert loaded.skeleton.keypoints == MPII.keypoints
    assert [(image.id, image.file, image.size) for image in loaded.images] == [
        (11, "011.jpg", SIZE),
        (13, "013.jpg", SIZE),
    ]
    people = loaded.people
    assert people.image.tolist() == [0, 0, 1, 1]
    assert people.num_keypoints.tolist() == [4, 1, 1, 0]
    wanted = np.zeros((16, 3))
    wanted[[0, 9, 10, 15]] = [[110, 140, 2], [115, 40, 2], [90.5, 90, 1], [140, 95, 2]]
    np.testing.assert_array_equal(people.keypoints[0], wanted)
    # The joints' extent, 10 px (a tenth of 0.5 * 200 px) wider, from pixel centres to edges.
    np.testing.assert_allclose(people.bbox[0], [81, 30.5, 69.5, 120])
    np.testing.assert_allclose(people.bbox[1], [40.5, 30.5, 40, 40])
    np.testing.assert_allclose(people.areas, 0.53 * people.bbox[:, 2:].prod(1), atol=1e-3)
    # Nobody's joints: the square of the stated height around the stated place.
    np.testing.assert_allclose(people.bbox[3], [70.5, 50.5, 100, 100])


def test_what_pckh_needs_stays(tmp_path: Path) -> None:
    rows = convert(matlab(tmp_path), format_="mpii", images=tmp_path / "images").content["annotations"]
    assert rows[0]["bbox_head"] == [100, 30, 30, 40]
    assert rows[1]["scale"] == 1.0
    assert rows[0]["center"] == [120, 100]


def test_another_skeleton(tmp_path: Path) -> None:
    coco = Skeleton.load("coco17")
    converted = convert(matlab(tmp_path), format_="mpii", images=tmp_path / "images", skeleton=coco)
    loaded = write_coco(converted, tmp_path / "out.json")
    assert loaded.skeleton.keypoints == coco.keypoints
    assert loaded.people.keypoints[0, coco.index("right_ankle")].tolist() == [110, 140, 2]
    assert loaded.people.num_keypoints.tolist() == [3, 0, 0, 0]


def test_missing_images_are_left_out(tmp_path: Path) -> None:
    source = matlab(tmp_path)
    (tmp_path / "images" / "013.jpg").unlink()
    converted = convert(source, format_="mpii", images=tmp_path / "images")
    assert [image["id"] for image in converted.content["images"]] == [11]
    assert converted.remarks == (
        "image not readable (the file is missing), left out (1)",
        "image of the test set, left out (1)",
        "person of an image that is not readable, left out (2)",
        "training image without annotated people, left out (1)",
    )
    (tmp_path / "images" / "011.jpg").write_text("x")
    with pytest.raises(UserError, match=r"none of the 2 images is there, such as 011\.jpg"):
        convert(source, format_="mpii", images=tmp_path / "images")


def listed(folder: Path, **changes: Any) -> Path:
    """A JSON list of two people of one image."""
    (folder / "images").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "images" / "b7.jpg"), np.zeros((*SIZE, 3), np.uint8))
    rng = np.random.default_rng(3)
    rows = []
    for k in range(2):
        row = {
            "image": "b7.jpg",
            "center": [121.0, 101.0],
            "scale": 0.5,
            "joints": rng.uniform(40, 160, (16, 2)).round(1).tolist(),
            "joints_vis": [1] * 15 + [k],
        }
        rows.append(row | changes)
    rows[0]["joints"][15] = [-1.0, -1.0]
    (folder / "list.json").write_text(json.dumps(rows))
    return folder / "list.json"


def test_the_json_list(tmp_path: Path) -> None:
    source = listed(tmp_path, head_box=[[101, 31], [131, 71]])
    converted = convert(source, format_="mpii", images=tmp_path / "images")
    loaded = write_coco(converted, tmp_path / "out.json")
    rows = json.loads(source.read_text())
    for person_, row in zip(loaded.people.keypoints, rows, strict=True):
        visible = np.array(row["joints_vis"]) > 0
        np.testing.assert_allclose(person_[visible, :2], np.array(row["joints"])[visible] - 1, atol=1e-3)
        assert person_[:, 2].tolist() == (2 * visible).tolist()
    assert loaded.people.num_keypoints.tolist() == [15, 16]
    assert loaded.images[0].id == 1
    assert converted.content["annotations"][0]["bbox_head"] == [100, 30, 30, 40]
    assert (
        "bbox_head"
        not in convert(listed(tmp_path), format_="mpii", images=tmp_path / "images").content["annotations"][0]
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "expected a list of people"),
        ("[1]", "person 0 is not as expected"),
        ('[{"image": "a.jpg", "joints": [[1, 2]], "joints_vis": [1]}]', "person 0 is not as expected"),
        ("[]", "no annotated training image"),
        ("<", "cannot be read as JSON"),
        ('[{"image": "a.jpg", "image": "b.jpg"}]', "'image' is given twice"),
        ("[" * 5000 + "]" * 5000, "cannot be read as JSON"),
        (None, "does not exist"),
    ],
)
def test_other_content(
    text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    source = tmp_path / "list.json"
    if text is not None:
        source.write_text(text)
    arguments = ["data", "convert", "--from", "mpii", str(source), "--out", str(tmp_path / "o.json")]
    assert run([*arguments, "--images", str(tmp_path / "images")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


@pytest.mark.parametrize("content", [{"RELEASE": 5}, {"other": 1}, None])
def test_other_matlab_files(content: dict[str, Any] | None, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    if content is None:
        (tmp_path / "a.mat").write_bytes(b"no Matlab file, but long enough to be taken for one " * 9)
    else:
        savemat(tmp_path / "a.mat", content)
    with pytest.raises(UserError, match="not MPII's Matlab file"):
        convert(tmp_path / "a.mat", format_="mpii", images=tmp_path / "images")


def test_images_are_needed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="as `images`"):
        convert(listed(tmp_path), format_="mpii")


def test_people_are_left_out_for_the_true_reason(tmp_path: Path) -> None:
    source = listed(tmp_path)
    rows = json.loads(source.read_text())
    nobody = {"joints": [[-1.0, -1.0]] * 16, "joints_vis": [0] * 16}
    rows += [
        rows[1] | nobody | {"scale": -1.0},
        rows[1] | nobody | {"center": [5000.0, 100.0]},
        rows[1] | {"joints": [[-500.0, 20.0]] * 16},
        rows[1] | {"joints": [[50.0, 20.0]] * 16, "scale": 0},
        rows[1] | {"image": "./b7.jpg"},
    ]
    source.write_text(json.dumps(rows))
    converted = convert(source, format_="mpii", images=tmp_path / "images")
    assert len(converted.content["images"]) == 1
    assert len(converted.content["annotations"]) == 4
    assert converted.remarks == (
        "person whose labelled joints lie on one place: the box is 0.1 of the image's shorter side wide and "
        "high (1)",
        "person without a box, whose labelled joints all lie outside the image, left out (1)",
        "person without joints, and without place or size, left out (1)",
        "person without joints, whose place lies outside the image, left out (1)",
    )


def released(folder: Path, *people: Any) -> Path:
    """A Matlab file with one entry of the same image for each person."""
    (folder / "images").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "images" / "011.jpg"), np.zeros((*SIZE, 3), np.uint8))
    images = [{"image": struct([{"name": "011.jpg"}]), "annorect": struct([row])} for row in people]
    release = struct([{"annolist": struct(images), "img_train": np.ones((1, len(people)))}])
    savemat(folder / "mpii.mat", {"RELEASE": release})
    return folder / "mpii.mat"


def test_an_image_that_is_listed_twice_keeps_all_people(tmp_path: Path) -> None:
    source = released(tmp_path, person(FIRST), person(SECOND))
    converted = convert(source, format_="mpii", images=tmp_path / "images")
    loaded = write_coco(converted, tmp_path / "out.json")
    assert (len(loaded.images), loaded.people.num_keypoints.tolist()) == (1, [4, 1])
    assert converted.remarks == ("image listed twice, the people of both taken (1)",)


def test_of_two_places_of_a_joint_the_first_is_taken(tmp_path: Path) -> None:
    rows = [
        {"x": 51.0, "y": 61.0, "id": 3},
        {"x": 101.0, "y": 101.0, "id": 3},
        {"x": 71.0, "y": 81.0, "id": 4},
    ]
    twice = person(None, annopoints=struct([{"point": struct(rows)}]))
    converted = convert(released(tmp_path, twice), format_="mpii", images=tmp_path / "images")
    assert converted.content["annotations"][0]["keypoints"][9:12] == [50, 60, 2]
    assert converted.remarks == ("second place of a joint, left out (1)",)


@pytest.mark.parametrize("point", [(-1, 5.0), (16, 5.0), (3, np.nan), (3, 1e30), (3, -np.inf), (1e300, 5.0)])
def test_impossible_numbers_are_one_line(point: tuple[float, float], tmp_path: Path) -> None:
    rows = [{"x": point[1], "y": 61.0, "id": point[0]}, {"x": 71.0, "y": 81.0, "id": 4}]
    source = released(tmp_path, person(None, annopoints=struct([{"point": struct(rows)}])))
    with pytest.raises(UserError, match="image 1 of annolist is not as MPII describes it"):
        convert(source, format_="mpii", images=tmp_path / "images")


@pytest.mark.parametrize(
    "change", [{"scale": 1e300}, {"center": [1e30, 5]}, {"image": 7}, {"joints": [[10**400, 1]] * 16}]
)
def test_impossible_people_of_a_list_are_one_line(change: dict[str, Any], tmp_path: Path) -> None:
    source = listed(tmp_path)
    rows = json.loads(source.read_text())
    source.write_text(json.dumps([rows[0] | change]))
    with pytest.raises(UserError, match=r"list\.json: "):
        convert(source, format_="mpii", images=tmp_path / "images")


def dies(_: Path) -> None:
    os._exit(1)


@pytest.mark.skipif(sys.platform != "linux", reason="a process that is no fork does not see the patch")
def test_a_file_that_takes_the_reading_process_down_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As scipy's reader does at some spoilt files."""
    source = released(tmp_path, person(FIRST))
    monkeypatch.setattr(mpii_matlab, "read_people", dies)
    with pytest.raises(UserError, match="not MPII's Matlab file, or a spoilt one"):
        convert(source, format_="mpii", images=tmp_path / "images")
