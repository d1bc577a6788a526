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
from nas.data.convert.yolo import label_file
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
    with pytest.raises(UserError, match="--skeleton"):
        convert(tmp_path, format_="yolo")
    loaded = write_coco(convert(tmp_path, format_="yolo", skeleton=three), tmp_path / "out.json")
    assert loaded.skeleton.keypoints == three.keypoints
    np.testing.assert_allclose(loaded.people.keypoints[0], keypoints(1, 3), atol=1e-3)


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
    with pytest.raises(UserError, match="--category: dog, person"):
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
    assert "image not readable, left out (1)" in converted.remarks


def test_where_labels_lie(tmp_path: Path) -> None:
    assert label_file(Path("a/images/b/images/c.jpg")) == Path("a/images/b/labels/c.txt")
    assert label_file(Path("a/b/c.jpg")) == Path("a/b/c.txt")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "c.txt").touch()
    assert label_file(tmp_path / "images" / "c.jpg") == tmp_path / "images" / "c.txt"


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "number": ({}, "0 0.5 0.5 x 0.5", "no number"),
    "nan": ({}, "0 0.5 0.5 nan 0.5", "not finite"),
    "few": ({}, "0 0.5 0.5 0.5 0.5 0.1", "3 for each of 17 joints are needed"),
    "visibility": ({}, " ".join(["0", *["0.5"] * 55]), "visibility is none of 0, 1, 2"),
    "flip": ({"flip_idx": list(range(17))}, "", "'flip_idx'"),
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
