"""Checking data sets: every class of problem in a set that has exactly that problem."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dotted_people import JOINTS, person

from nas.cli.main import run
from nas.data.check import check_dataset
from nas.data.check_html import check_page
from nas.data.check_pictures import SIDE, draw
from nas.data.check_report import KINDS, CheckReport, ExamplePicture
from nas.errors import UserError
from nas.space.skeleton import Skeleton

Change = Callable[[dict[str, Any]], Any]


def photo(seed: int, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    """Something with the smooth contrasts of a photograph."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def keypoints(seed: int) -> np.ndarray:
    places = np.random.default_rng(seed).uniform([20, 20], [90, 70], (len(JOINTS), 2))
    return np.concatenate([places, np.full((len(JOINTS), 1), 2.0)], axis=1)


def split(folder: Path, name: str, first: int, count: int = 3, **changes: Any) -> dict[str, Any]:
    """A sound split `annotations/set_NAME.json`, its images first, first + 1, ... with one person each."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir(exist_ok=True)
    ids = range(first, first + count)
    for id_ in ids:
        cv2.imwrite(str(folder / "images" / f"{id_}.jpg"), photo(id_))
    content = {
        "images": [{"id": id_, "file_name": f"{id_}.jpg", "height": 90, "width": 120} for id_ in ids],
        "annotations": [person(10 * id_, id_, keypoints(id_)) for id_ in ids],
        "categories": [{"id": 1, "name": "person", "keypoints": list(JOINTS)}],
    } | changes
    write(folder, name, content)
    return content


def write(folder: Path, name: str, content: Any) -> None:
    (folder / "annotations" / f"set_{name}.json").write_text(json.dumps(content))


def found(report: CheckReport) -> dict[str, int]:
    return {finding.kind.name: finding.count for finding in report.findings}


def first_person(**changes: Any) -> Change:
    return lambda content: content["annotations"][0].update(changes)


def joint(index: int, *values: float) -> Change:
    def change(content: dict[str, Any]) -> None:
        content["annotations"][0]["keypoints"][3 * index : 3 * index + 3] = values

    return change


def again(key: str, **changes: Any) -> Change:
    return lambda content: content[key].append(content[key][0] | changes)


CASES: dict[str, tuple[Change, dict[str, int]]] = {
    "nothing": (lambda content: None, {}),
    "unknown image": (first_person(image_id=77), {"refused": 1, "unknown_image": 1}),
    "no area": (lambda c: c["annotations"][0].pop("area"), {"no_area": 1}),
    "area 0": (first_person(area=0), {"no_area": 1}),
    "negative area": (first_person(area=-5.0), {"no_area": 1}),
    "endless area": (first_person(area=float("inf")), {"no_area": 1}),
    "segmentation": (first_person(segmentation=[[]]), {"segmentation": 1}),
    "compressed segmentation": (
        first_person(segmentation={"size": [90, 120], "counts": "xyz"}),
        {"segmentation": 1},
    ),
    "crowd with a broken mask": (first_person(iscrowd=1, segmentation=[[1, 1]]), {"segmentation": 1}),
    "joint nowhere": (joint(0, 1e9, 50.0, 2), {"far_joint": 1}),
    "box nowhere": (first_person(bbox=[1e9, 1, 5, 5]), {"refused": 1, "malformed": 1}),
    "nested joints": (first_person(keypoints=[[1, 1, 2]] * 7), {"refused": 1, "malformed": 1}),
    "no joints": (first_person(keypoints=[], num_keypoints=None), {"unlabelled": 1}),
    "written otherwise": (
        lambda c: (
            first_person(iscrowd="0", num_keypoints="7", id="10", image_id=1.0)(c),
            c["images"][0].update(height=90.0, id="1", file_name="./1.jpg"),
        ),
        {},
    ),
    "name with ./": (
        lambda c: c["images"].append({**c["images"][0], "id": 9, "file_name": "./1.jpg"}),
        {"duplicate_file": 1},
    ),
    "outside the folder": (
        lambda c: c["images"][0].update(file_name="../images/1.jpg"),
        {"outside_folder": 1},
    ),
    "area": (first_person(area="big"), {"refused": 1, "malformed": 1}),
    "image id": (
        again("images", file_name="9.jpg"),
        {"refused": 1, "duplicate_image_id": 1},
    ),
    "annotation id": (
        again("annotations", image_id=2),
        {"refused": 1, "duplicate_annotation_id": 1},
    ),
    "file": (again("images", id=9), {"duplicate_file": 1}),
    "same person": (again("annotations", id=999), {"duplicate_person": 1}),
    "joints": (first_person(keypoints=[1.0] * 18), {"refused": 1, "joint_count": 1}),
    "visibility": (joint(0, 50.0, 50.0, 3), {"refused": 1, "visibility": 1}),
    "count": (first_person(num_keypoints=0), {"stated_count": 1}),
    "flat box": (first_person(bbox=[10, 10, 0, 50]), {"flat_box": 1}),
    "box outside": (first_person(bbox=[130, 10, 20, 20]), {"box_outside": 1, "off_box": 1}),
    "box over the edge": (first_person(bbox=[0, 0, 140, 90]), {"box_over_edge": 1}),
    "box within rounding": (first_person(bbox=[-0.9, -0.9, 121.8, 91.8]), {}),
    "joint outside": (joint(2, 121.0, 40.0, 1), {"joint_outside": 1}),
    "joint within rounding": (joint(2, 120.4, -1.4, 1), {}),
    "unlabelled joint anywhere": (
        lambda c: (joint(2, 999.0, 999.0, 0)(c), first_person(num_keypoints=len(JOINTS) - 1)(c)),
        {},
    ),
    "nobody labelled": (first_person(keypoints=[0] * 21, num_keypoints=0), {"unlabelled": 1}),
    "crowd": (first_person(iscrowd=1), {"crowd_box": 1}),
    "crowd with a mask": (first_person(iscrowd=1, segmentation=[[1, 1, 9, 1, 9, 9]]), {}),
    "other category": (first_person(category_id=5), {"other_category": 1}),
    "no object": (lambda c: c["annotations"].append(7), {"refused": 1, "malformed": 1}),
    "no size": (
        lambda c: c["images"][2].update(height=0),
        {"refused": 1, "malformed": 1, "unknown_image": 1},
    ),
    "no name that a file can have": (
        lambda c: (c["images"][2].update(file_name="\ud800.jpg"), c["annotations"].pop()),
        {"refused": 1, "malformed": 1},
    ),
    "no category": (lambda c: c["categories"][0].pop("keypoints"), {"refused": 1, "categories": 1}),
    "not finite": (first_person(bbox=[0, 0, 10, float("nan")]), {"refused": 1, "malformed": 1}),
    "odd id": (first_person(id=[1]), {"refused": 1, "malformed": 1}),
    "odd image": (first_person(image_id={"a": 1}), {"refused": 1, "unknown_image": 1}),
    "size": (lambda c: c["images"][1].update(width=121), {"image_size": 1}),
    "missing": (lambda c: c["images"][1].update(file_name="gone.jpg"), {"image_missing": 1}),
    "a long name": (lambda c: c["images"][1].update(file_name="g" * 300 + ".jpg"), {"image_missing": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_each_class(case: str, tmp_path: Path) -> None:
    change, expected = CASES[case]
    content = split(tmp_path, "train", 1)
    change(content)
    write(tmp_path, "train", content)
    path = tmp_path / "annotations" / "set_train.json"
    report = check_dataset(path)
    assert found(report) == expected
    assert report.problems == sum(finding.count for finding in report.findings if finding.kind.problem)
    assert all(finding.examples for finding in report.findings)
    check_page("A set", report)


def test_a_cut_file_is_corrupt(tmp_path: Path) -> None:
    split(tmp_path, "train", 1)
    file = tmp_path / "images" / "2.jpg"
    file.write_bytes(file.read_bytes()[:-200])
    (tmp_path / "images" / "3.jpg").write_text("no image")
    report = check_dataset(tmp_path)
    assert found(report) == {"image_corrupt": 2}
    assert {example.name for example in report.findings[0].examples} == {"2.jpg", "3.jpg"}
    assert report.splits[0].looked_at == 1


def test_the_skeleton_asked_for(tmp_path: Path, skeleton: Skeleton) -> None:
    split(tmp_path, "train", 1)
    assert found(check_dataset(tmp_path, skeleton=skeleton)) == {}
    other = Skeleton(name="o", keypoints=(*JOINTS[1:], "tail"), flip_pairs=(), sigmas=())
    (finding,) = check_dataset(tmp_path, skeleton=other).findings
    assert finding.kind is KINDS["skeleton"]
    assert "missing: tail; further: nose" in finding.examples[0].what


def test_splits_apart_have_no_leak(tmp_path: Path) -> None:
    split(tmp_path, "train", 1)
    split(tmp_path, "val", 4)
    report = check_dataset(tmp_path)
    assert found(report) == {}
    assert [summary.looked_at for summary in report.splits] == [3, 3]


def test_the_same_images_in_another_notation_are_no_leak(tmp_path: Path) -> None:
    content = split(tmp_path, "train", 1)
    write(tmp_path, "other", content | {"annotations": content["annotations"][:2]})
    assert found(check_dataset(tmp_path)) == {}


def test_leakage_between_splits(tmp_path: Path) -> None:
    train, val = split(tmp_path, "train", 1, 4), split(tmp_path, "val", 5, 4)
    images = tmp_path / "images"
    (images / "5.jpg").write_bytes((images / "1.jpg").read_bytes())  # another name
    shrunk = cv2.resize(photo(2), (60, 45), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(images / "6.jpg"), shrunk, [cv2.IMWRITE_JPEG_QUALITY, 70])
    val["images"][1] |= {"height": 45, "width": 60}
    val["annotations"].pop(1)
    val["images"].append(train["images"][2])  # the same file
    val["images"][2]["id"] = 4  # another image
    val["annotations"][1]["image_id"] = 4
    write(tmp_path, "val", val)
    report = check_dataset(tmp_path)
    assert found(report) == {"leak_same": 2, "leak_alike": 1, "same_id": 1}
    by_name = {finding.kind.name: finding for finding in report.findings}
    assert {example.name for example in by_name["leak_same"].examples} == {"5.jpg", "3.jpg"}
    assert "looks like 2.jpg of set_train" in by_name["leak_alike"].examples[0].what
    assert len(by_name["leak_alike"].examples[0].pictures) == 2


def test_names_leak_where_images_cannot_be_compared(tmp_path: Path) -> None:
    content = split(tmp_path, "train", 1)
    split(tmp_path, "val", 3)
    for file in (tmp_path / "images").iterdir():
        file.unlink()
    (tmp_path / "images").rmdir()
    report = check_dataset(tmp_path)
    assert found(report) == {"leak_name": 1, "images_unseen": 2}
    assert report.findings[0].examples[0].name == content["images"][2]["file_name"]


def test_images_that_share_a_name_only_are_no_leak(tmp_path: Path) -> None:
    for name, first in (("train", 1), ("val", 4)):
        content = split(tmp_path, name, first, 1)
        (tmp_path / name).mkdir()
        (tmp_path / "images" / f"{first}.jpg").rename(tmp_path / name / "a.jpg")
        content["images"][0]["file_name"] = "a.jpg"
        write(tmp_path, name, content)
    report = check_dataset(tmp_path)
    assert [summary.folder for summary in report.splits] == [tmp_path / "train", tmp_path / "val"]
    assert found(report) == {}


def test_flat_images_are_not_taken_for_copies(tmp_path: Path) -> None:
    for name, first in (("train", 1), ("val", 2)):
        split(tmp_path, name, first, 1)
        cv2.imwrite(str(tmp_path / "images" / f"{first}.jpg"), np.full((90, 120, 3), 90 + first, np.uint8))
    assert found(check_dataset(tmp_path)) == {}


def test_copies_within_a_split_are_a_remark(tmp_path: Path) -> None:
    split(tmp_path, "train", 1)
    (tmp_path / "images" / "3.jpg").write_bytes((tmp_path / "images" / "1.jpg").read_bytes())
    report = check_dataset(tmp_path)
    assert found(report) == {"copy": 1}
    assert report.problems == 0


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    split(tmp_path, "train", 1, 70)
    told: list[tuple[int, int]] = []
    check_dataset(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(64, 70), (70, 70)]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "it holds no JSON file"),
        ({"a.json": "[]"}, "no list 'images'"),
        ({"a.json": "{"}, "broken JSON"),
    ],
)
def test_a_folder_without_annotations(files: dict[str, str], said: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=re.escape(said)):
        check_dataset(tmp_path)


def flag(file: Path, value: int) -> None:
    """Give a JPEG an orientation flag."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([value]) + bytes(6)
    jpeg = file.read_bytes()
    file.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])


STORED, TURNED = {"height": 90, "width": 120}, {"height": 120, "width": 90}


@pytest.mark.parametrize(
    ("value", "stated", "turned", "stored"),
    [
        (1, STORED, None, None),
        (3, STORED, "image_flag", "image_flag"),
        (4, STORED, "image_flag", "image_flag"),
        (6, STORED, "image_turned", None),
        (6, TURNED, None, "image_turned"),
        (6, {"height": 90, "width": 121}, "image_size", "image_size"),
    ],
)
def test_a_flag_that_contradicts_the_labels(
    value: int, stated: dict[str, int], turned: str | None, stored: str | None, tmp_path: Path
) -> None:
    content = split(tmp_path, "train", 1)
    content["images"][1].update(stated)
    write(tmp_path, "train", content)
    flag(tmp_path / "images" / "2.jpg", value)
    for orientation, expected in (("turned", turned), ("stored", stored)):
        report = check_dataset(tmp_path, orientation=orientation)
        findings = [finding for finding in report.findings if finding.kind.name.startswith("image")]
        assert [(finding.kind.name, finding.count) for finding in findings] == (
            [(expected, 1)] if expected else []
        )
        for finding in findings:
            assert finding.kind.problem == (expected != "image_flag")
            (picture,) = finding.examples[0].pictures
            assert [person["id"] for person in picture.people] == [20]
            shape = (90, 120) if orientation == "stored" or value < 5 else (120, 90)
            assert decoded(draw(ExamplePicture(picture.file), orientation)).shape[:2] == shape
        assert report.splits[0].looked_at == (2 if expected in ("image_turned", "image_size") else 3)


def test_bytes_behind_the_end_of_a_jpeg_are_no_fault(tmp_path: Path) -> None:
    split(tmp_path, "train", 1)
    for id_, trailer in ((1, bytes(40_000)), (2, (tmp_path / "images" / "3.jpg").read_bytes())):
        file = tmp_path / "images" / f"{id_}.jpg"
        file.write_bytes(file.read_bytes() + trailer)
    assert found(check_dataset(tmp_path)) == {}
    cut = tmp_path / "images" / "1.jpg"
    cut.write_bytes(cut.read_bytes()[:-40_100] + bytes(40_000))
    assert found(check_dataset(tmp_path)) == {"image_corrupt": 1}


def test_a_picture_shows_what_lies_outside(tmp_path: Path) -> None:
    split(tmp_path, "train", 1, 1)
    file = tmp_path / "images" / "1.jpg"
    inside = person(1, 1, keypoints(1))
    assert decoded(draw(ExamplePicture(file, (inside,)))).shape == (90, 120, 3)
    points = keypoints(1)
    points[3, :2] = (150, 40)
    shown = decoded(draw(ExamplePicture(file, (person(1, 1, points),), (3,))))
    assert shown.shape[0] == 90
    assert shown.shape[1] > 150
    red, green, blue = shown[40, 150].astype(int)
    assert red > 150 > max(green, blue)
    assert draw(ExamplePicture(tmp_path / "none.jpg")) is None
    cv2.imwrite(str(file), photo(1, (900, 600)))
    assert max(decoded(draw(ExamplePicture(file))).shape) == SIDE
    cv2.imwrite(str(file), photo(1, (3000, 3)))
    assert decoded(draw(ExamplePicture(file))).shape[:2] == (SIDE, 1)


def decoded(jpeg: bytes | None) -> np.ndarray:
    assert jpeg is not None
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = split(tmp_path, "<train>", 1)
    assert run(["data", "check", str(tmp_path)]) == 0
    assert "No problems, no remarks." in capsys.readouterr().out
    joint(2, 121.0, 500.0, 1)(content)
    content["images"][1]["file_name"] = "<i>.jpg"
    write(tmp_path, "<train>", content)
    page = tmp_path / "pages" / "page.html"
    assert run(["data", "check", str(tmp_path), "--html", str(page), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == 2
    assert {item["class"]: item["count"] for item in report["findings"]} == {
        "joint_outside": 1,
        "image_missing": 1,
    }
    example = report["findings"][0]["examples"][0]
    assert (example["annotation"], example["image"], example["image_file"]) == (10, 1, "1.jpg")
    text = page.read_text()
    assert text.count('src="data:image/jpeg;base64,') == 1
    assert not re.search(r"<script|<link|(src|href)=\"(?!data:|#)|url\(|@import", text)
    assert "<i>.jpg" not in text
    assert "&lt;i&gt;.jpg" in text


def test_remarks_alone_are_exit_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = split(tmp_path, "train", 1)
    first_person(iscrowd=1)(content)
    write(tmp_path, "train", content)
    assert run(["data", "check", str(tmp_path)]) == 0
    assert "No problems, 1 remark." in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["none.json"], ["{set}", "--images", "nowhere"], ["{set}", "--skeleton", "nobody"]]
)
def test_usage_errors_are_exit_code_2(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split(tmp_path, "train", 1)
    assert run(["data", "check", *(part.format(set=tmp_path) for part in arguments)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("Error: ")


def test_real_photographs_are_sound(shared_data: Path) -> None:
    report = check_dataset(shared_data / "coco_mini", skeleton=Skeleton.load("coco17"))
    assert found(report) == {"unlabelled": 180}
    assert [summary.looked_at for summary in report.splits] == [80, 35]


def test_a_real_photograph_is_found_again(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "coco_mini" / "images"
    files = sorted(source.iterdir())[:40]
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    content: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
    for id_, file in enumerate(files):
        image = cv2.imread(str(file))
        cv2.imwrite(str(tmp_path / "images" / f"{id_}.png"), image)
        record = {"id": id_, "file_name": f"{id_}.png", "height": image.shape[0], "width": image.shape[1]}
        content["train"].append(record)
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        if id_ % 4 == 0:
            cv2.imwrite(str(tmp_path / "images" / f"h{id_}.jpg"), half, [cv2.IMWRITE_JPEG_QUALITY, 60])
            record = {"file_name": f"h{id_}.jpg", "height": half.shape[0], "width": half.shape[1]}
            content["val"].append(record | {"id": 1000 + id_})
    category = {"id": 1, "name": "person", "keypoints": list(JOINTS)}
    for name, images in content.items():
        people = [person(1, images[0]["id"], keypoints(1))]
        write(tmp_path, name, {"images": images, "annotations": people, "categories": [category]})
    report = check_dataset(tmp_path)
    assert found(report) == {"leak_alike": 10}
    for example in report.findings[0].examples:
        assert f"looks like {str(example.name)[1:].removesuffix('.jpg')}.png of" in example.what
