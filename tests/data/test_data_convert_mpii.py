"""MPII, as the released Matlab file and as a JSON list, as COCO files."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from nas.cli.main import run
from nas.data.convert import convert, write_coco
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
    assert converted.remarks == ("image missing or not readable, left out (1)",)
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
        ("<", "neither"),
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
    with pytest.raises(UserError, match="--images FOLDER"):
        convert(listed(tmp_path), format_="mpii")
