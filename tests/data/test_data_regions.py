"""Where the loss counts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dotted_people import JOINTS, person

from nas.codecs.affine import image_affine
from nas.data import Annotations, load_annotations
from nas.data.regions import loss_mask
from nas.space.skeleton import Skeleton

SAME = image_affine((40, 60), (40, 60))
NOBODY = np.zeros((len(JOINTS), 3))


@pytest.fixture
def with_region(write_set: Any, skeleton: Skeleton) -> Any:
    """A set of one 40 x 60 image: a labelled person and one without labels, whose fields are given."""

    def make(*, complete: bool = True, **region: Any) -> Annotations:
        keypoints = NOBODY.copy()
        keypoints[0] = (50, 30, 2)
        people = [person(1, 1, keypoints), person(2, 1, NOBODY, **region)]
        folder = write_set([np.zeros((40, 60, 3), np.uint8)], people)
        return load_annotations(folder / "set.json", None, skeleton, complete=complete)

    return make


def test_a_polygon_is_left_out(with_region: Any) -> None:
    mask = loss_mask(with_region(segmentation=[[10, 5, 20, 5, 20, 15, 10, 15]]), 0, SAME, (40, 60))
    assert mask is not None
    expected = np.ones((40, 60), bool)
    expected[5:15, 10:20] = False
    assert (mask != expected).sum() <= 2 * 20 + 1  # its border may fall either way
    assert not mask[6:14, 11:19].any()


def test_a_box_stands_in_for_a_missing_segmentation(with_region: Any) -> None:
    mask = loss_mask(with_region(bbox=[30, 10, 8, 20]), 0, SAME, (40, 60))
    assert mask is not None
    assert not mask[11:29, 31:37].any()
    assert mask[:, :29].all()


@pytest.mark.parametrize("flip", [False, True])
def test_a_crowd_is_warped_with_the_image(with_region: Any, flip: bool) -> None:
    region = np.zeros((40, 60), bool)
    region[8:20, 4:30] = True
    runs = np.flatnonzero(np.diff(np.concatenate([[False], region.T.ravel(), [False]]))).tolist()
    counts = np.diff([0, *runs, region.size]).tolist()
    annotations = with_region(iscrowd=1, segmentation={"size": [40, 60], "counts": counts})
    mask = loss_mask(annotations, 0, image_affine((40, 60), (80, 120), flip=flip), (80, 120))
    expected = np.kron(region, np.ones((2, 2), bool))
    np.testing.assert_array_equal(mask, ~(expected[:, ::-1] if flip else expected))


def test_an_incomplete_set_counts_only_inside_its_boxes(with_region: Any) -> None:
    mask = loss_mask(with_region(complete=False, bbox=[1, 1, 3, 3]), 0, SAME, (40, 60))
    assert mask is not None
    assert mask[26:34, 46:54].all()
    assert not mask[:24].any()
    assert not mask[:, :44].any()


def test_real_crowds_and_unlabelled_people_agree_with_pycocotools(shared_data: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco").COCO()
    path = shared_data / "coco_mini" / "annotations" / "coco17_val.json"
    coco.dataset = json.loads(path.read_text())
    coco.createIndex()
    annotations = load_annotations(path, None, Skeleton.load("coco17"))
    masked = 0
    for position, image in enumerate(annotations.images):
        regions = [row for row in coco.imgToAnns[image.id] if row["iscrowd"] or not row["num_keypoints"]]
        mask = loss_mask(annotations, position, image_affine(image.size, image.size), image.size)
        if not regions:
            assert mask is None
            continue
        expected = ~np.any([coco.annToMask(row).astype(bool) for row in regions], axis=0)
        assert mask is not None
        assert (mask != expected).mean() < 0.01
        masked += int((~expected).sum())
    assert masked > 0
