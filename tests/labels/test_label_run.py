"""From images to the file: new labels, merged ones, and work that was stopped."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dot_model import DOTS, write_dot_model

from nas.data import load_annotations
from nas.data.check import check_dataset
from nas.digests import file_digest
from nas.errors import UserError
from nas.labels import Labeller, LabelSet, LabelSettings, MergeSettings, Views, label, label_set
from nas.labels.images import LabelImage
from nas.labels.poses import ImagePoses, TaughtPose
from nas.runtime import OnnxModel

SIZE = (100, 120)
INFO = {"description": "mine", "labelled_by": [{"model": "a former one"}]}


def person(id_: int, image: int, keypoints: Sequence[float], bbox: Sequence[float], **more: Any) -> Any:
    labelled = sum(v > 0 for v in keypoints[2::3])
    row = {"id": id_, "image_id": image, "category_id": 1, "keypoints": list(keypoints)}
    area = 0.5 * bbox[2] * bbox[3]
    return row | {"num_keypoints": labelled, "bbox": list(bbox), "area": area, "iscrowd": 0} | more


# Persons of 2,500 px²: their scale is 50 px.
PEOPLE = [
    person(1, 1, [10, 10, 2, 30, 90, 2, 0, 0, 0], [5, 0, 50, 100], note="kept"),
    person(2, 1, [], [60, 0, 50, 100]),
    person(3, 1, [], [0, 0, 20, 20], iscrowd=1, segmentation=[[0, 0, 20, 0, 20, 20]]),
    person(4, 2, [50, 20, 2, 60, 30, 2, 70, 80, 1], [40, 0, 50, 100]),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`set.json` and `images/`: two images, and a third in which nobody is labelled."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in (1, 2, 3):
        pixels = cv2.resize(rng.integers(0, 255, (10, 12, 3), np.uint8), SIZE[::-1])
        assert cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), pixels)
    images = [
        {"id": number, "file_name": f"{number}.png", "height": SIZE[0], "width": SIZE[1], "licence": 7}
        for number in (1, 2, 3)
    ]
    category = {"id": 1, "name": "person", "keypoints": list(DOTS.keypoints), "skeleton": [[1, 2]]}
    content = {"info": INFO, "images": images, "annotations": PEOPLE, "categories": [category]}
    (tmp_path / "set.json").write_text(json.dumps(content))
    return tmp_path


@pytest.fixture
def model(tmp_path: Path) -> OnnxModel:
    return OnnxModel(write_dot_model(tmp_path / "dots.onnx", (64, 48)))


def pose(*joints: tuple[float, float, float], score: float = 0.9, bbox: Any = None) -> TaughtPose:
    return TaughtPose(np.array(joints, np.float64), score, None if bbox is None else tuple(bbox))


class Scripted(Labeller):
    """Says what it is told to, by the ids of images."""

    def __init__(self, model: OnnxModel, script: dict[int, list[TaughtPose]], **settings: Any) -> None:
        super().__init__(model, settings=LabelSettings(**settings))
        self.script = script
        self.asked: list[int] = []

    def __call__(self, image: LabelImage, pixels: np.ndarray) -> ImagePoses:
        assert pixels.shape == (*SIZE, 3)
        self.asked.append(image.id)
        return ImagePoses(SIZE, tuple(self.script.get(image.id, [])))


def listed_in(folder: Path, model: OnnxModel, **more: Any) -> LabelSet:
    return label_set(folder / "set.json", model, say=pytest.fail, **more)


def inputs(folder: Path) -> dict[str, Path]:
    return {"model": folder / "dots.onnx", "images": folder / "set.json"}


def sound(file: Path, folder: Path) -> None:
    """`nas data check` finds no problem, and training reads it."""
    report = check_dataset(file, folder / "images", skeleton=DOTS)
    assert not report.problems, report.verdict
    assert load_annotations(file, folder / "images", DOTS).people.labelled.any()


BY_BOX = {
    1: [
        # confirmed (3 px), contradicted (70 px, sure), filled
        pose((13, 10, 0.9), (30, 20, 0.95), (40, 50, 0.7), bbox=PEOPLE[0]["bbox"]),
        # filled, too low a score, outside the image
        pose((80, 10, 0.6), (90, 50, 0.4), (130, 90, 0.9), bbox=PEOPLE[1]["bbox"]),
    ],
    # everything elsewhere: another person's pose
    2: [pose((90, 80, 0.9), (100, 90, 0.9), (5, 5, 0.9), bbox=PEOPLE[3]["bbox"])],
}


def test_a_merge_fills_and_drops_what_is_written_down(folder: Path, model: OnnxModel) -> None:
    labeller = Scripted(model, BY_BOX)
    output = folder / "out.json"
    report = label(
        listed_in(folder, model, merge=True),
        labeller,
        output,
        merge=MergeSettings(same=0.5),
        inputs=inputs(folder),
    )
    content = json.loads(output.read_text())
    before = json.loads((folder / "set.json").read_text())
    assert (content["images"], content["categories"]) == (before["images"], before["categories"])
    first, second, crowd, fourth = content["annotations"]
    assert first == {**PEOPLE[0], "keypoints": [10, 10, 2, 0, 0, 0, 40, 50, 2], "num_keypoints": 2}
    assert second == {**PEOPLE[1], "keypoints": [80, 10, 2, 0, 0, 0, 0, 0, 0], "num_keypoints": 1}
    assert (crowd, fourth) == (PEOPLE[2], PEOPLE[3])
    assert report.joints == {
        "red": {"given": 2, "confirmed": 1, "dropped": 0, "filled": 1, "labelled": 3},
        "green": {"given": 2, "confirmed": 0, "dropped": 1, "filled": 0, "labelled": 1},
        "blue": {"given": 1, "confirmed": 0, "dropped": 0, "filled": 1, "labelled": 2},
    }
    assert report.people == {
        "people": 3, "given": 3, "merged": 2, "contradicted": 1, "unseen": 0, "added": 0, "labelled": 3
    }  # fmt: skip
    former, ours = content["info"]["labelled_by"]
    assert (content["info"]["description"], former) == ("mine", {"model": "a former one"})
    assert ours["model"] == {"file": "dots.onnx", "sha256": file_digest(folder / "dots.onnx")}
    assert ours["images"] == 3
    assert ours["settings"]["views"]["rotations"] == [0.0]
    assert ours["merge"] == {"far": 0.3, "sure": 0.6, "same": 0.5}
    assert (ours["joints"], ours["people"]) == (report.joints, report.people)
    sound(output, folder)


def test_poses_of_whole_images_are_matched_and_new_people_added(folder: Path, model: OnnxModel) -> None:
    script = {
        1: [
            pose((2, 2, 0.9), (18, 2, 0.9), (10, 18, 0.9)),  # one of the crowd
            pose((13, 10, 0.9), (30, 88, 0.95), (40, 50, 0.7)),  # the first person
        ],
        2: [pose((50, 20, 0.2), (60, 30, 0.2), (70, 80, 0.2), score=0.2)],  # too low a score
        3: [pose((50, 20, 0.9), (60, 30, 0.4), (70, 80, 0.8)), pose((1, 1, 0.1), (2, 2, 0.1), (3, 3, 0.1))],
    }
    listed = listed_in(folder, model, merge=True)
    listed = replace(listed, rows=None, images=tuple(replace(image, boxes=None) for image in listed.images))
    output = folder / "out.json"
    report = label(listed, Scripted(model, script), output, merge=MergeSettings(), inputs=inputs(folder))
    first, second, crowd, fourth, new = json.loads(output.read_text())["annotations"]
    assert first["keypoints"] == [10, 10, 2, 30, 90, 2, 40, 50, 2]
    assert (second, crowd, fourth) == tuple(PEOPLE[1:])
    assert (new["id"], new["image_id"], new["category_id"], new["iscrowd"]) == (5, 3, 1, 0)
    assert new["keypoints"] == [50, 20, 2, 0, 0, 0, 70, 80, 2]
    # The joints' extent and a tenth of 60 px on each side; a box begins at the first pixel's edge.
    assert new["bbox"] == pytest.approx([44.5, 14.5, 32, 72])
    assert report.people == {
        "people": 4, "given": 3, "merged": 1, "contradicted": 0, "unseen": 2, "added": 1, "labelled": 3
    }  # fmt: skip
    sound(output, folder)


def test_joints_of_another_skeleton_stay_as_they_are(folder: Path, model: OnnxModel) -> None:
    content = json.loads((folder / "set.json").read_text())
    content["categories"][0]["keypoints"] = ["hat", "green", "red"]
    (folder / "set.json").write_text(json.dumps(content))
    output = folder / "out.json"
    label(
        listed_in(folder, model, merge=True),
        Scripted(model, {1: [pose((45, 60, 0.9), (30, 88, 0.9), (0, 0, 0.9), bbox=PEOPLE[0]["bbox"])]}),
        output,
        merge=MergeSettings(),
        inputs=inputs(folder),
    )
    first = json.loads(output.read_text())["annotations"][0]
    assert first["keypoints"] == [10, 10, 2, 30, 90, 2, 45, 60, 2]
    content["categories"][0]["keypoints"] = ["hat", "shoe", "glove"]
    (folder / "set.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"set\.json: its joints have none in common"):
        listed_in(folder, model, merge=True)


def test_new_labels_keep_ids_boxes_and_crowds(folder: Path, model: OnnxModel) -> None:
    """Who has a box and no pose stands there without joints."""
    script = {
        1: [*BY_BOX[1][:1], replace(BY_BOX[1][1], score=0.1)],
        2: [replace(BY_BOX[2][0], bbox=tuple(PEOPLE[3]["bbox"]))],
    }
    output = folder / "out.json"
    report = label(listed_in(folder, model), Scripted(model, script), output, inputs=inputs(folder))
    content = json.loads(output.read_text())
    assert [image["id"] for image in content["images"]] == [1, 2, 3]
    first, second, third, crowd = content["annotations"]
    assert first["keypoints"] == [13, 10, 2, 30, 20, 2, 40, 50, 2]
    assert (second["num_keypoints"], second["bbox"]) == (0, PEOPLE[1]["bbox"])
    assert third["keypoints"] == [90, 80, 2, 100, 90, 2, 5, 5, 2]
    assert (crowd["iscrowd"], crowd["segmentation"]) == (1, PEOPLE[2]["segmentation"])
    assert (report.people["people"], report.people["labelled"]) == (3, 2)
    sound(output, folder)


def test_a_broken_image_is_named_and_its_given_labels_stay(folder: Path, model: OnnxModel) -> None:
    (folder / "images" / "2.png").write_bytes(b"no picture")
    listed = listed_in(folder, model, merge=True)
    report = label(
        listed, Scripted(model, BY_BOX), folder / "out.json", merge=MergeSettings(), inputs=inputs(folder)
    )
    assert [failure.path.name for failure in report.failures] == ["2.png"]
    assert json.loads((folder / "out.json").read_text())["annotations"][3] == PEOPLE[3]
    label(listed_in(folder, model), Scripted(model, BY_BOX), folder / "new.json", inputs=inputs(folder))
    assert [image["id"] for image in json.loads((folder / "new.json").read_text())["images"]] == [1, 3]


def test_work_that_was_stopped_goes_on(folder: Path, model: OnnxModel) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 3
        if done == 2:
            raise KeyboardInterrupt

    output, part = folder / "out.json", folder / "out.json.part"
    first, second = Scripted(model, BY_BOX), Scripted(model, BY_BOX)
    with pytest.raises(KeyboardInterrupt):
        label(listed_in(folder, model), first, output, inputs=inputs(folder), progress=stop)
    assert part.exists()
    assert not output.exists()
    with part.open("ab") as file:
        file.write(b'{"image": 3, "si')  # what a killed process leaves
    other = Scripted(model, BY_BOX, views=Views((0.0, 10.0)))
    with pytest.raises(UserError, match=r"out\.json\.part: is of other views"):
        label(listed_in(folder, model), other, output, inputs=inputs(folder))
    label(listed_in(folder, model), second, output, inputs=inputs(folder))
    assert (first.asked, second.asked) == ([1, 2], [3])
    assert not part.exists()
    label(listed_in(folder, model), Scripted(model, BY_BOX), folder / "once.json", inputs=inputs(folder))
    assert output.read_bytes() == (folder / "once.json").read_bytes()


def test_other_thresholds_need_no_new_poses(folder: Path, model: OnnxModel) -> None:
    output = folder / "out.json"
    with pytest.raises(UserError, match="`min_score` or `min_keypoint`"):
        label(
            listed_in(folder, model), Scripted(model, BY_BOX, min_score=0.99), output, inputs=inputs(folder)
        )
    again = Scripted(model, BY_BOX)
    assert label(listed_in(folder, model), again, output, inputs=inputs(folder)).people["labelled"] == 3
    assert not again.asked


def write_over(path: Path) -> None:
    path.write_text("mine")


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


@pytest.mark.parametrize("make", [write_over, link_to_nothing])
def test_nothing_is_written_over(make: Callable[[Path], None], folder: Path, model: OnnxModel) -> None:
    output = folder / "out.json"
    make(output)
    with pytest.raises(UserError, match="exists already"):
        label(listed_in(folder, model), Scripted(model, BY_BOX), output, inputs=inputs(folder))
    assert output.is_symlink() or output.read_text() == "mine"
    (folder / "new.json.part").write_text("a file of the user's\n")
    with pytest.raises(UserError, match=r"new\.json\.part"):
        label(listed_in(folder, model), Scripted(model, BY_BOX), folder / "new.json", inputs=inputs(folder))
    assert (folder / "new.json.part").read_text() == "a file of the user's\n"


def test_boxes_of_detections(folder: Path, model: OnnxModel) -> None:
    detections = [
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 30, 40], "score": 0.9},
        {"image_id": 1, "category_id": 1, "bbox": [5, 0, 30, 40], "score": 0.4},
        {"image_id": 1, "category_id": 9, "bbox": [6, 0, 30, 40], "score": 0.9},
        {"image_id": 3, "category_id": 1, "bbox": [7, 0, 30, 40], "score": 0.9},
        {"image_id": 8, "category_id": 1, "bbox": [8, 0, 30, 40], "score": 0.9},
    ]
    file = folder / "detections.json"
    file.write_text(json.dumps(detections))
    listed = listed_in(folder, model, boxes=file, least=0.5)
    boxes = [image.boxes.tolist() for image in listed.images if image.boxes is not None]
    assert boxes == [[[0, 0, 30, 40]], [], [[7, 0, 30, 40]]]
    file.write_text(json.dumps([*detections, {"image_id": 1, "bbox": [1, 2, 3], "score": 1}]))
    with pytest.raises(UserError, match=r"detections\.json: \[5\]: 'bbox' has 3 numbers"):
        listed_in(folder, model, boxes=file)
    file.write_text("[]")
    with pytest.raises(UserError, match="holds no detection"):
        listed_in(folder, model, boxes=file)


def test_boxes_of_another_file_go_by_names(folder: Path, model: OnnxModel) -> None:
    content = json.loads((folder / "set.json").read_text())
    content["images"] = [{"id": 77, "file_name": "2.png", "height": SIZE[0], "width": SIZE[1]}]
    content["annotations"] = [{"id": 1, "image_id": 77, "category_id": 1, "bbox": [1, 2, 30, 40]}]
    (folder / "boxes.json").write_text(json.dumps(content))
    listed = listed_in(folder, model, boxes=folder / "boxes.json")
    assert [len(image.boxes) for image in listed.images if image.boxes is not None] == [0, 1, 0]
    np.testing.assert_allclose(listed.images[1].boxes, [[1, 2, 30, 40]])
