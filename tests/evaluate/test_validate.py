import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from nas.codecs import Codec
from nas.codecs.heatmap import HeatmapCodec
from nas.codecs.types import Poses
from nas.data.coco import load_annotations
from nas.data.images import ImageStore
from nas.errors import UserError
from nas.evaluate import (
    mean_pose,
    mean_pose_baseline,
    read_results,
    score,
    validate,
    write_results,
)
from nas.evaluate.inputs import KeptInputs
from nas.evaluate.validate import find
from nas.space.skeleton import PckSegments, Skeleton

DOTS = Skeleton(
    "dots", ("red", "green", "blue"), (), (0.1, 0.1, 0.1), pck=PckSegments(torso=("red", "green"))
)
SIZE = (240, 320)


class DotModel:
    """Finds the brightest pixel of each channel; as a model for whole images, in each half of the input."""

    flip = False
    padding = 1.25
    skeleton = DOTS

    def __init__(self, task: str, resolution: tuple[int, int] = (128, 128)) -> None:
        self.task = task
        self.resolution = resolution
        self.seen = 0

    @property
    def codec(self) -> Codec:
        return HeatmapCodec(self.skeleton, self.resolution)

    def candidates(self, images):
        assert images.dtype == np.uint8
        self.seen += len(images)
        return [self._find(image) for image in images]

    def _find(self, image):
        middle = image.shape[1] // 2
        parts = [(image, 0)] if self.task == "crop" else [(image[:, :middle], 0), (image[:, middle:], middle)]
        keypoints, scores = [], []
        for part, start in parts:
            best = part.reshape(-1, 3).argmax(0)
            y, x = np.divmod(best, part.shape[1])
            keypoints.append(np.column_stack([x + start, y, np.ones(3)]))
            scores.append(float(part.max() > 150))
        return {"keypoints": np.stack(keypoints), "scores": np.array(scores)}


def draw(dots: np.ndarray) -> np.ndarray:
    ys, xs = np.mgrid[: SIZE[0], : SIZE[1]]
    image = np.zeros((*SIZE, 3))
    for person in dots:
        for channel, (x, y) in enumerate(person):
            bell = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 5.0**2))
            image[..., channel] = np.maximum(image[..., channel], bell)
    return (40 + 200 * image).astype(np.uint8)


def write_set(folder: Path, *, crowd_index: float | None = None) -> Path:
    """Three images: two people, one person in the right half, nobody."""
    rng = np.random.default_rng(0)
    left = rng.uniform([20, 40], [140, 200], (2, 3, 2))
    scenes = [[left[0], left[1] + [160, 0]], [left[0] + [160, 0]], []]
    images, rows = [], []
    for number, dots in enumerate(scenes, start=1):
        cv2.imwrite(str(folder / f"{number}.png"), draw(np.reshape(dots, (-1, 3, 2)))[..., ::-1])
        images.append({"id": number, "file_name": f"{number}.png", "height": SIZE[0], "width": SIZE[1]})
        if crowd_index is not None:
            images[-1]["crowdIndex"] = crowd_index
        for person in dots:
            low, high = person.min(0) - 12, person.max(0) + 12
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "keypoints": np.column_stack([person, [2, 2, 2]]).ravel().tolist(),
                    "num_keypoints": 3,
                    "bbox": [*low.tolist(), *(high - low).tolist()],
                    "area": float((high - low).prod()),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 1, "name": "person", "keypoints": list(DOTS.keypoints), "skeleton": []}]
    path = folder / "annotations.json"
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))
    return path


@pytest.fixture
def annotations(tmp_path):
    return load_annotations(write_set(tmp_path), tmp_path, DOTS)


@pytest.mark.parametrize("task", ["crop", "image"])
def test_a_good_model_finds_everyone(annotations, task):
    model = DotModel(task, (160, 160))
    progress = []
    result = validate(
        model, annotations, batch_size=2, progress=lambda done, total: progress.append((done, total))
    )
    assert model.seen == 3
    assert progress == [(2, 3), (3, 3)]
    assert len(result.detections) == 3
    assert result["AP"] > 0.95
    assert result["PCK_torso@0.1"] == 1
    assert result["PCK_torso@0.1/blue"] == 1
    figures = result.to_json()
    assert figures["flip"] is False
    assert figures["images"] == 3
    assert figures["people"] == 3
    assert not any(name.startswith(("CrowdPose", "PCK_head")) for name in figures)
    json.dumps(figures, allow_nan=False)


def test_stored_images_give_the_same(annotations):
    sizes = np.array([image.size for image in annotations.images])
    paths = [annotations.image_file(position) for position in range(3)]
    store = ImageStore(paths, sizes, np.full(3, 0.6), budget_mib=None)
    model = DotModel("crop", (96, 96))
    stored, read = (validate(model, annotations, store=s) for s in (store, None))
    assert stored["AP"] == pytest.approx(read["AP"], abs=0.05)
    for one, other in zip(stored.detections, read.detections, strict=True):
        np.testing.assert_allclose(one["keypoints"], other["keypoints"], atol=3.0)


@pytest.mark.parametrize("task", ["crop", "image"])
def test_a_set_in_parts_is_the_whole(annotations, task):
    parts = [find(DotModel(task), annotations, images=images) for images in ([2, 1], [0])]
    joined, whole = parts[0].joined(parts[1]), find(DotModel(task), annotations)
    assert {row["image_id"] for row in parts[0].detections} == {2}
    assert sorted(joined.detections, key=lambda row: row["image_id"]) == whole.detections
    if task == "crop":
        np.testing.assert_array_equal(joined.answers, whole.answers)
    else:
        assert joined.answers is whole.answers is None


def test_inputs_that_are_kept_need_no_pictures(annotations):
    kept, none = KeptInputs(1), KeptInputs(0)
    first = find(DotModel("crop"), annotations, kept=kept)
    find(DotModel("crop"), annotations, kept=none)
    for position in range(3):
        Path(annotations.image_file(position)).unlink()
    again = find(DotModel("crop"), annotations, kept=kept)
    assert again.detections == first.detections
    with pytest.raises(UserError, match="validation needs every image"):
        find(DotModel("crop", (96, 96)), annotations, kept=kept)
    with pytest.raises(UserError, match="validation needs every image"):
        find(DotModel("crop"), annotations, kept=none)


def test_crowd_figures_where_images_say_how_crowded(tmp_path):
    annotations = load_annotations(write_set(tmp_path, crowd_index=0.1), tmp_path, DOTS)
    result = validate(DotModel("image", (160, 160)), annotations)
    assert result["CrowdPose_AP"] > 0.95
    assert result["CrowdPose_AP_easy"] == result["CrowdPose_AP"]
    assert result["CrowdPose_AP_hard"] == -1


def test_other_skeleton_and_missing_image_are_users_errors(annotations):
    other = DotModel("crop")
    other.skeleton = Skeleton.load("coco17")
    with pytest.raises(UserError, match="skeleton 'dots', but the model finds 'coco17'"):
        validate(other, annotations)
    annotations.image_file(1).unlink()
    with pytest.raises(UserError, match=r"2\.png: the file is missing; validation needs every image"):
        validate(DotModel("image"), annotations)


def test_results_file_comes_back(annotations, tmp_path):
    result = validate(DotModel("crop", (160, 160)), annotations)
    path = tmp_path / "results" / "server.json"
    write_results(path, result.detections)
    again = score(read_results(path), annotations)
    assert again["AP"] == pytest.approx(result["AP"], abs=0.02)
    assert again["PCK_torso@0.2"] == result["PCK_torso@0.2"]
    path.write_text("{}")
    with pytest.raises(UserError, match="not a COCO results file"):
        read_results(path)


def test_mean_pose(annotations):
    people = annotations.people
    pose = mean_pose(annotations)
    places = (people.keypoints[..., :2] - people.boxes[:, None, :2]) / (
        people.boxes[:, 2:] - people.boxes[:, :2]
    )[:, None]
    np.testing.assert_allclose(pose, places.mean(0))
    result = mean_pose_baseline(annotations, annotations)
    assert len(result.detections) == 3
    assert result["AP"] < validate(DotModel("crop", (160, 160)), annotations)["AP"]


def test_a_model_that_finds_nobody_scores_nothing(annotations):
    class Blind(DotModel):
        def candidates(self, images):
            return [{"keypoints": np.zeros((1, 3, 3)), "scores": np.zeros(1)} for _ in images]

    result = validate(Blind("crop"), annotations)
    assert (result["AP"], result["AR"], result["PCK_torso@0.5"]) == (0, 0, 0)
    assert len(Poses(np.zeros((0, 3, 3)), np.zeros(0))) == len(result.detections) == 0
