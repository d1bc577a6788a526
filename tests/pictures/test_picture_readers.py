"""Training, validation, int8 calibration and prediction see the same pixels, whatever the file is like."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from picture_files import FLAGGED, KINDS

from nas.codecs import Poses
from nas.codecs.affine import image_affine, warp_image
from nas.data import Annotations, KeypointDataset, load_annotations
from nas.data.convert.image_sizes import image_sizes
from nas.data.shards import write_shards
from nas.evaluate.inputs import InputSource
from nas.evaluate.int8 import calibration_data
from nas.pictures import Orientation, read_picture
from nas.runtime import PosePipeline
from nas.space.skeleton import Skeleton

RESOLUTION = (48, 48)
SKELETON = Skeleton("one", ("nose",), (), (0.05,))


class Watcher:
    """A model for whole images that keeps what it is shown and finds nobody."""

    flip = False
    task = "image"
    padding = 1.25
    skeleton = SKELETON
    resolution = RESOLUTION
    codec = SimpleNamespace(group=lambda _: Poses(np.zeros((0, 1, 3)), np.zeros(0)))

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def candidates(self, images: np.ndarray) -> list[dict[str, np.ndarray]]:
        self.seen += list(images)
        return [{} for _ in images]


def write_set(folder: Path, orientation: Orientation) -> Annotations:
    """Pictures of every kind and with every flag, one labelled person each."""
    (folder / "images").mkdir()
    contents = {f"{kind}.jpg": make() for kind, make in KINDS.items()}
    contents |= {f"{kind} {flag}.jpg": make(flag) for kind, make in FLAGGED.items() for flag in range(1, 9)}
    images, people = [], []
    for id_, (name, content) in enumerate(sorted(contents.items()), 1):
        file = folder / "images" / name
        file.write_bytes(content)
        height, width, _ = read_picture(file, orientation=orientation).shape
        images.append({"id": id_, "file_name": file.name, "height": height, "width": width})
        person = {"id": id_, "image_id": id_, "category_id": 1, "area": 90, "iscrowd": 0, "num_keypoints": 1}
        people.append(person | {"bbox": [2, 2, 10, 10], "keypoints": [5, 5, 2]})
    categories = [{"id": 1, "name": "person", "keypoints": ["nose"]}]
    content = {"images": images, "annotations": people, "categories": categories}
    (folder / "set.json").write_text(json.dumps(content))
    return replace(
        load_annotations(folder / "set.json", folder / "images", SKELETON), orientation=orientation
    )


def test_int8_is_calibrated_on_people_of_all_pictures_that_it_is_given(tmp_path: Path) -> None:
    annotations = write_set(tmp_path, "turned")
    content = json.loads(annotations.path.read_text())
    first = content["annotations"]
    content["annotations"] = [
        {**person, "id": len(first) * turn + person["id"]} for person in first for turn in range(3)
    ]
    annotations.path.write_text(json.dumps(content))
    model = Watcher()
    model.task = "crop"
    images = len(annotations.images)
    shown = calibration_data(model, annotations.path, annotations.folder, count=images).inputs
    assert len(shown) == images
    # Three people of one picture look alike here: the same box.
    assert len({crop.tobytes() for crop in shown}) > images / 3 + 1


@pytest.mark.parametrize("orientation", ["turned", "stored"])
def test_all_see_the_same(orientation: Orientation, tmp_path: Path) -> None:
    annotations = write_set(tmp_path, orientation)
    files = [tmp_path / "images" / image.file for image in annotations.images]
    expected = []
    for file in files:
        pixels = read_picture(file, orientation=orientation)
        expected.append(warp_image(pixels, image_affine(pixels.shape[:2], RESOLUTION), RESOLUTION))
    shards = write_shards([(file.name, file) for file in files], tmp_path / "shards")
    assert shards
    sources = annotations, replace(annotations, folder=tmp_path / "shards")
    for source in sources:
        for cache_mib in (0, 8):
            dataset = KeypointDataset([source], task="image", cache_mib=cache_mib)
            training = [dataset[request].image for request in dataset.requests(RESOLUTION)]
            np.testing.assert_array_equal(training, expected)
        (batch,) = InputSource(source, Watcher()).batches(len(files), workers=2)
        np.testing.assert_array_equal([item.pixels for item in batch], expected)
    count = len(files)
    model = Watcher()
    for data, images in ((annotations.path, annotations.folder), (tmp_path / "images", None)):
        shown = calibration_data(model, data, images, count=count, orientation=orientation).inputs
        np.testing.assert_array_equal(shown, expected)
    if orientation == "turned":
        pipeline = PosePipeline(model)
        for file in files:
            pipeline(file)
        np.testing.assert_array_equal(model.seen, expected)
        assert image_sizes(files) == [image.size for image in annotations.images]
