"""YOLO pose labels as COCO files, and back."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from nas.cli.main import run
from nas.data import load_annotations
from nas.data.check import check_dataset
from nas.data.convert import convert, write_coco
from nas.data.convert.yolo_files import label_file
from nas.errors import UserError
from nas.space.skeleton import Skeleton

COCO = Skeleton.load("coco17")
SIZE = (90, 120)


def yolo_line(class_: int, bbox: Any, keypoints: np.ndarray, size: tuple[int, int], values: int = 3) -> str:
    """One person as a line: what the format's description says, written independently of the reader."""
    height, width = size
    x, y, w, h = bbox
    fields = [class_, (x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
    for px, py, v in keypoints:
        fields += [px / width, py / height, int(v)][:values]
    return " ".join(map(str, fields))


def keypoints(seed: int, count: int = 17) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(5, 80, (count, 2)), rng.integers(0, 3, count)])
    points[0, 2] = 2
    points[points[:, 2] == 0] = 0
    return points


def yolo(folder: Path, *, values: int = 3, **facts: Any) -> Path:
    """`images/train`, `labels/train`, data.yaml; images 7 and 8 with 2 people, 9 with none."""
    for part in ("images", "labels"):
        (folder / part / "train").mkdir(parents=True)
    for id_ in (7, 8, 9):
        cv2.imwrite(str(folder / "images" / "train" / f"00{id_}.png"), np.full((*SIZE, 3), id_, np.uint8))
    for id_ in (7, 8):
        lines = [yolo_line(0, (4, 4, 80, 82), keypoints(10 * id_ + k), SIZE, values) for k in range(2)]
        (folder / "labels" / "train" / f"00{id_}.txt").write_text("\n".join(lines) + "\n\n")
    content = {
        "path": "/somewhere/else/entirely",
        "train": "images/train",
        "kpt_shape": [17, values],
        "flip_idx": list(COCO.flip_index),
        "names": {0: "person"},
    } | facts
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    return folder


def test_people_come_back(tmp_path: Path) -> None:
    yolo(tmp_path)
    converted = convert(tmp_path / "data.yaml", format_="yolo")
    assert converted.images == tmp_path
    assert converted.remarks == (
        "17 joints without names: taken as COCO's",
        "image without a label file, taken as one without people (1)",
    )
    write_coco(converted, tmp_path / "out.json")
    loaded = load_annotations(tmp_path / "out.json", tmp_path, COCO)
    assert [(image.id, image.file, image.size) for image in loaded.images] == [
        (id_, f"images/train/00{id_}.png", SIZE) for id_ in (7, 8, 9)
    ]
    wanted = np.stack([keypoints(seed) for seed in (70, 71, 80, 81)])
    np.testing.assert_allclose(loaded.people.keypoints, wanted, atol=1e-3)
    np.testing.assert_allclose(loaded.people.bbox, [[4, 4, 80, 82]] * 4, atol=1e-3)
    np.testing.assert_allclose(loaded.people.areas, 0.53 * 80 * 82, atol=1e-2)
    assert loaded.people.image.tolist() == [0, 0, 1, 1]
    assert not check_dataset(tmp_path / "out.json", tmp_path).problems


def test_without_visibility_a_joint_at_the_origin_is_unlabelled(tmp_path: Path) -> None:
    yolo(tmp_path, values=2)
    loaded = write_coco(convert(tmp_path, format_="yolo"), tmp_path / "out.json")
    wanted = np.stack([keypoints(seed)[:, 2] for seed in (70, 71, 80, 81)])
    np.testing.assert_array_equal(loaded.people.keypoints[..., 2], np.where(wanted > 0, 2, 0))


def test_a_bare_folder_needs_a_skeleton(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((*SIZE, 3), np.uint8))
    (tmp_path / "a.txt").write_text(yolo_line(3, (1, 1, 50, 60), keypoints(1, 3), SIZE))
    three = Skeleton(name="three", keypoints=("head", "left_hand", "right_hand"), flip_pairs=(), sigmas=())
    with pytest.raises(UserError, match="`skeleton`"):
        convert(tmp_path, format_="yolo")
    loaded = write_coco(convert(tmp_path, format_="yolo", skeleton=three), tmp_path / "out.json")
    assert loaded.skeleton.keypoints == three.keypoints
    np.testing.assert_allclose(loaded.people.keypoints[0], keypoints(1, 3), atol=1e-3)
    with pytest.raises(UserError, match=r"no data\.yaml says where its 'val' lies"):
        convert(tmp_path, format_="yolo", skeleton=three, split="val")


def test_named_joints_are_mapped_by_name(tmp_path: Path) -> None:
    names = list(reversed(COCO.keypoints))
    yolo(tmp_path, kpt_names={0: names}, flip_idx=None)
    converted = convert(tmp_path, format_="yolo", skeleton=COCO)
    loaded = write_coco(converted, tmp_path / "out.json")
    np.testing.assert_allclose(loaded.people.keypoints[0], keypoints(70)[::-1], atol=1e-3)


def test_other_classes_are_left_out(tmp_path: Path) -> None:
    yolo(tmp_path, names=["dog", "person"])
    label = tmp_path / "labels" / "train" / "007.txt"
    label.write_text(label.read_text().replace("0 ", "1 ", 1))
    converted = convert(tmp_path, format_="yolo")
    assert len(converted.content["annotations"]) == 1
    assert "object of another class, left out (3)" in converted.remarks
    dogs = convert(tmp_path, format_="yolo", category="dog")
    assert len(dogs.content["annotations"]) == 3
    with pytest.raises(UserError, match="`category`: dog, person"):
        convert(tmp_path, format_="yolo", category="cat")


def test_lists_of_images_and_splits(tmp_path: Path) -> None:
    yolo(tmp_path, val="val.txt", test=["images/train", "images/train"])
    (tmp_path / "val.txt").write_text("./images/train/008.png\nimages/train/009.png\n\n")
    val = convert(tmp_path, format_="yolo", split="val")
    assert [image["id"] for image in val.content["images"]] == [8, 9]
    assert len(val.content["annotations"]) == 2
    assert len(convert(tmp_path, format_="yolo", split="test").content["images"]) == 3


def test_images_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "images" / "train" / "007.png").write_bytes(b"no image")
    converted = convert(tmp_path, format_="yolo")
    assert [image["id"] for image in converted.content["images"]] == [8, 9]
    assert any(line.startswith("image not readable (") for line in converted.remarks)
    assert "label line of an image that is not readable, left out (2)" in converted.remarks


def test_where_labels_lie(tmp_path: Path) -> None:
    assert label_file(Path("a/images/b/images/c.jpg")) == Path("a/images/b/labels/c.txt")
    assert label_file(Path("a/b/c.jpg")) == Path("a/b/c.txt")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "c.txt").touch()
    assert label_file(tmp_path / "images" / "c.jpg") == tmp_path / "images" / "c.txt"


def line_of(box: str, joint: str, class_: str = "0") -> str:
    """A person of 17 joints on one place."""
    return " ".join((class_, box, *[joint] * 17))


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "number": ({}, "0 0.5 0.5 x 0.5", "no number"),
    "nan": ({}, "0 0.5 0.5 nan 0.5", "not finite"),
    "few": ({}, "0 0.5 0.5 0.5 0.5 0.1", "3 for each of 17 joints are needed"),
    "visibility": ({}, " ".join(["0", *["0.5"] * 55]), "visibility is none of 0, 1, 2"),
    "outline": ({}, "0 0.1 0.1 0.2 0.2 0.3 0.1", "as for segmentation?"),
    "pixels": ({}, line_of("60 45 80 82", "30 20 2"), "008.txt: line 1: 60 is no share"),
    "pixels of joints": ({}, line_of("0.5 0.5 0.5 0.5", "30 20 2"), "30 is no share"),
    "just outside": ({}, line_of("0.5 0.5 0.5 0.5", "0.5 1.02 2"), "1.02 is no share"),
    "negative": ({}, line_of("0.5 0.5 -0.5 0.5", "0.5 0.5 2"), "-0.5 is no share"),
    "class": ({}, line_of("0.5 0.5 0.5 0.5", "0.5 0.5 2", "1"), "1 is no number of a class"),
    "half a class": ({}, line_of("0.5 0.5 0.5 0.5", "0.5 0.5 2", "0.5"), "0.5 is no number of a class"),
    "negative class": ({}, line_of("0.5 0.5 0.5 0.5", "0.5 0.5 2", "-1"), "-1 is no number of a class"),
    "flip": ({"flip_idx": list(range(17))}, "", "says that 'left_eye' mirrors as 'left_eye'"),
    "flip of others": ({"flip_idx": [1, 0, *range(2, 17)]}, "", "says that 'nose' mirrors as 'left_eye'"),
    "flip that goes on": ({"flip_idx": [1, 2, 0, *range(3, 17)]}, "", "turns joint 0 into 1, and 1 into 2"),
    "flip beyond": ({"flip_idx": [17, *range(1, 17)]}, "", "into 17, which is no joint"),
    "flip of fewer": ({"flip_idx": [0, 1]}, "", "the mirror image of each of 17 joints"),
    "flip of names": ({"flip_idx": ["a"] * 17}, "", "the mirror image of each of 17 joints"),
    "class without number": ({"names": {"person": "person"}}, "", "'names' is neither"),
    "classes without names": ({"names": None, "nc": 2}, "", "--category: class_0, class_1"),
    "twice": ({}, "", "'val' is given twice"),
    "shape": ({"kpt_shape": [17, 4]}, "", "'kpt_shape' must be"),
    "count": ({"kpt_shape": [5, 3], "flip_idx": None}, "", "5 joints without names"),
    "split": ({"train": None, "val": "images/train"}, "", "no split 'train'; it has val"),
    "folder": ({"train": "pictures"}, "", "which does not exist"),
    "names": ({"kpt_names": ["a"] * 17}, "", "'kpt_names' must be"),
    "joint": ({"kpt_names": [3] * 17}, "", "'kpt_names' must be"),
    "path": ({"path": [1]}, "", "'path' must be a folder"),
    "place": ({"train": [{"a": 1}]}, "", "'train' must be a folder"),
    "classes": ({"names": 7}, "", "'names' is neither"),
    "other classes": ({"names": ["dog", "cat"]}, "", "--category: dog, cat"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line(fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts, line, said = FAULTS[fault]
    yolo(tmp_path, **facts)
    if fault == "twice":
        (tmp_path / "data.yaml").write_text("val: x\nval: y\n")
    if line:
        (tmp_path / "labels" / "train" / "008.txt").write_text(line)
    output = tmp_path / "out.json"
    assert run(["data", "convert", "--from", "yolo", str(tmp_path), "--out", str(output)]) == 2
    (printed,) = capsys.readouterr().err.strip().splitlines()
    assert said in printed
    assert not output.exists()


def test_real_people_survive_the_way_there_and_back(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "coco_mini"
    before = load_annotations(source / "annotations" / "coco17_val.json", source / "images", COCO)
    before = before.select([image.id for image in before.images][:12])
    for position, image in enumerate(before.images):
        (tmp_path / image.file).write_bytes(before.image_file(position).read_bytes())
        rows = before.people_of(position)
        lines = [
            yolo_line(0, box, points, image.size)
            for box, points in zip(before.people.bbox[rows], before.people.keypoints[rows], strict=True)
        ]
        (tmp_path / image.file).with_suffix(".txt").write_text("\n".join(lines))
    converted = convert(tmp_path, format_="yolo", skeleton=COCO)
    after = write_coco(converted, tmp_path / "out.json")
    assert [image.id for image in after.images] == [image.id for image in before.images]
    assert [image.size for image in after.images] == [image.size for image in before.images]
    np.testing.assert_allclose(after.people.keypoints, before.people.keypoints, atol=1e-3)
    np.testing.assert_allclose(after.people.bbox, before.people.bbox, atol=2e-3)


def roboflow(folder: Path, **facts: Any) -> Path:
    """`y/data.yaml` beside `y/train/images` and `y/train/labels`, one picture with one person."""
    for part in ("images", "labels"):
        (folder / "y" / "train" / part).mkdir(parents=True)
    cv2.imwrite(str(folder / "y" / "train" / "images" / "a.png"), np.zeros((*SIZE, 3), np.uint8))
    line = yolo_line(0, (4, 4, 80, 82), keypoints(1), SIZE)
    (folder / "y" / "train" / "labels" / "a.txt").write_text(line)
    content = {"train": "../train/images", "kpt_shape": [17, 3], "nc": 1, "names": ["person"]} | facts
    (folder / "y" / "data.yaml").write_text(yaml.safe_dump(content))
    return folder / "y" / "data.yaml"


@pytest.mark.parametrize(
    "place", ["../train/images", "../../train/images", "train/images", ["../train/images"]]
)
def test_places_that_are_meant_from_another_folder(place: Any, tmp_path: Path) -> None:
    converted = convert(roboflow(tmp_path, train=place), format_="yolo")
    assert [image["file_name"] for image in converted.content["images"]] == ["train/images/a.png"]
    assert len(converted.content["annotations"]) == 1
    assert converted.images == tmp_path / "y"


def test_a_place_that_exists_is_taken_as_it_is_stated(tmp_path: Path) -> None:
    """Beside the folder of data.yaml, not in it; file names start from the folder above."""
    source = roboflow(tmp_path)
    (tmp_path / "train" / "images").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "train" / "images" / "b.png"), np.zeros((*SIZE, 3), np.uint8))
    converted = convert(source, format_="yolo")
    assert [image["file_name"] for image in converted.content["images"]] == ["train/images/b.png"]
    assert converted.images == tmp_path


def test_path_is_where_places_start_from_if_it_is_there(tmp_path: Path) -> None:
    source = roboflow(tmp_path, path="../elsewhere", train="train/images")
    assert convert(source, format_="yolo").images == tmp_path / "y"
    (tmp_path / "y" / "train").rename(tmp_path / "train")
    source = source.rename(tmp_path / "data.yaml")
    source.write_text(source.read_text().replace("../elsewhere", "y/.."))
    converted = convert(source, format_="yolo")
    assert [image["file_name"] for image in converted.content["images"]] == ["train/images/a.png"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n  \n\n"])
def test_marks_and_line_ends(mark: bytes, end: bytes, tmp_path: Path) -> None:
    source = roboflow(tmp_path)
    wanted = convert(source, format_="yolo").content
    label = tmp_path / "y" / "train" / "labels" / "a.txt"
    for path in (label, source):
        path.write_bytes(mark + path.read_bytes().rstrip().replace(b"\n", end) + end)
    assert convert(source, format_="yolo").content == wanted
    label.write_bytes("0 0.5".encode("utf-16"))
    with pytest.raises(UserError, match=r"a\.txt: this is not a text file"):
        convert(source, format_="yolo")


def test_rounding_outside_the_image_is_cut(tmp_path: Path) -> None:
    source = roboflow(tmp_path)
    label = tmp_path / "y" / "train" / "labels" / "a.txt"
    label.write_text(line_of("0.5 0.5 1.00001 1", "1.00001 -0.00001 2"))
    (person,) = convert(source, format_="yolo").content["annotations"]
    assert person["keypoints"][:3] == [120, 0, 2]
    assert person["bbox"] == [0, 0, 120, 90]
    # What lies outside and is not labelled says nothing.
    label.write_text(line_of("0.5 0.5 1 1", "300 -4 0").replace("300 -4 0", "0.5 0.5 2", 1))
    assert convert(source, format_="yolo").content["annotations"][0]["num_keypoints"] == 1


def test_lines_with_a_box_only_are_people_without_joints(tmp_path: Path) -> None:
    source = roboflow(tmp_path)
    label = tmp_path / "y" / "train" / "labels" / "a.txt"
    pose = label.read_text()
    label.write_text(f"{pose}\n0 0.5 0.5 0.2 0.4\n")
    converted = convert(source, format_="yolo")
    said = "person with a box only, taken as one without labelled joints (1)"
    assert said in converted.remarks
    assert [person["num_keypoints"] > 0 for person in converted.content["annotations"]] == [True, False]
    label.write_text("0 0.5 0.5 0.2 0.4\n")
    with pytest.raises(UserError) as refusal:
        write_coco(convert(source, format_="yolo"), tmp_path / "out.json")
    assert said in str(refusal.value)


def test_a_box_without_extent_is_taken_around_the_joints(tmp_path: Path) -> None:
    source = roboflow(tmp_path)
    label = tmp_path / "y" / "train" / "labels" / "a.txt"
    label.write_text(line_of("0.5 0.5 0 0.2", "0.5 0.5 2"))
    converted = convert(source, format_="yolo")
    # One place, (60, 45), in an image of 120 x 90.
    assert converted.content["annotations"][0]["bbox"] == pytest.approx([56, 41, 9, 9])
    assert "box without extent, taken around the joints (1)" in converted.remarks


def test_pictures_that_share_a_label_file_are_refused(tmp_path: Path) -> None:
    source = roboflow(tmp_path)
    images = tmp_path / "y" / "train" / "images"
    cv2.imwrite(str(images / "a.jpg"), np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(UserError, match=r"a\.txt: its labels are those of a\.jpg and of a\.png alike"):
        convert(source, format_="yolo")
    (tmp_path / "y" / "train" / "labels" / "a.txt").unlink()
    assert len(convert(source, format_="yolo").content["images"]) == 2


def test_a_picture_with_two_label_files_is_refused_where_they_differ(tmp_path: Path) -> None:
    source = roboflow(tmp_path)
    beside = tmp_path / "y" / "train" / "images" / "a.txt"
    beside.write_bytes((tmp_path / "y" / "train" / "labels" / "a.txt").read_bytes())
    assert len(convert(source, format_="yolo").content["annotations"]) == 1
    beside.write_text("")
    with pytest.raises(UserError, match=r"a\.png: it has two label files, which differ"):
        convert(source, format_="yolo")


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    source = roboflow(tmp_path)
    folder = tmp_path / "y" / "train"
    (folder / "labels" / "lost.txt").write_text((folder / "labels" / "a.txt").read_text())
    (folder / "images" / "b.heic").touch()
    (tmp_path / "y" / "list.txt").write_text("./train/images/a.png\ntrain/images/a.png\ntrain/images/c.png\n")
    assert convert(source, format_="yolo").remarks == (
        "17 joints without names: taken as COCO's",
        ".heic file, left out (1)",
        "text file that belongs to no image, left out (1)",
    )
    source.write_text(source.read_text().replace("../train/images", "list.txt"))
    remarks = convert(source, format_="yolo").remarks
    assert "image listed twice, taken once (1)" in remarks
    assert "image not readable (the file is missing), left out (1)" in remarks


def test_flip_index_of_named_joints_is_compared_by_name(tmp_path: Path) -> None:
    names = list(reversed(COCO.keypoints))
    flip = [16 - joint for joint in reversed(COCO.flip_index)]
    assert flip != list(COCO.flip_index)
    source = roboflow(tmp_path, kpt_names={0: names}, flip_idx=flip)
    assert len(convert(source, format_="yolo", skeleton=COCO).content["annotations"]) == 1
    source.write_text(source.read_text().replace(f"- {flip[0]}\n", "", 1))
    with pytest.raises(UserError, match="the mirror image of each of 17 joints"):
        convert(source, format_="yolo", skeleton=COCO)
    other = yaml.safe_load(source.read_text()) | {"flip_idx": list(range(17))}
    source.write_text(yaml.safe_dump(other))
    with pytest.raises(UserError, match="'left_eye' mirrors as 'left_eye', skeleton coco17"):
        convert(source, format_="yolo", skeleton=COCO)
    # Without a skeleton nothing says that it is wrong.
    assert len(convert(source, format_="yolo").content["annotations"]) == 1


def test_names_of_joints_are_those_of_the_people(tmp_path: Path) -> None:
    names = [f"joint_{number}" for number in range(17)]
    source = roboflow(tmp_path, kpt_names={0: names, 1: names[::-1]}, names=["person", "dog"], nc=2)
    assert convert(source, format_="yolo").content["categories"][0]["keypoints"] == names
    dog = convert(source, format_="yolo", category="dog")
    assert dog.content["categories"][0]["keypoints"] == names[::-1]
    assert dog.content["annotations"] == []


def test_joints_that_a_skeleton_lacks_are_named(tmp_path: Path) -> None:
    crowd = Skeleton.load("crowdpose14")
    source = roboflow(tmp_path, kpt_names=list(COCO.keypoints))
    dropped, missing, *_ = convert(source, format_="yolo", skeleton=crowd).remarks
    assert dropped == (
        "joints that skeleton crowdpose14 lacks, left out: nose, left_eye, right_eye, left_ear, right_ear"
    )
    assert missing.startswith("joints of skeleton crowdpose14 that the source lacks, unlabelled: ")
