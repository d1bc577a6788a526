"""Who is on the sheet of people alone in their pictures."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks.flagship.sheet import alone, draw
from nas.data import Annotations, load_annotations
from nas.errors import UserError
from nas.models import PoseNet, calibrate, save_weights, transfer
from nas.space import ArchManager, SearchSpace, Skeleton


@pytest.fixture
def annotations(tiny_files: Path) -> Annotations:
    return load_annotations(tiny_files / "people.json", tiny_files / "images", Skeleton.load("coco17"))


def test_people_are_alone_whom_no_other_is_annotated_beside(annotations: Annotations) -> None:
    people = annotations.people
    counts = np.bincount(people.image, minlength=len(annotations.images))
    assert {image.id for image in alone(annotations).images} == {
        image.id for image, count in zip(annotations.images, counts, strict=True) if count == 1
    }
    first = np.flatnonzero(counts == 1)[0]
    crowd = people.crowd | (people.image == first)
    left = alone(replace(annotations, people=replace(people, crowd=crowd)))
    assert annotations.images[first].id not in {image.id for image in left.images}
    nobody = replace(annotations, people=replace(people, num_keypoints=np.zeros(len(people), int)))
    with pytest.raises(UserError, match="nobody with keypoints is alone"):
        alone(nobody)


def test_the_sheet_is_drawn(tiny_files: Path, tiny_space: SearchSpace, tmp_path: Path) -> None:
    arch = ArchManager(tiny_space).smallest(head="simcc")
    net = PoseNet(arch, "coco17")
    images = [torch.randn(4, 3, *arch.resolution)]
    save_weights(tmp_path / "network.safetensors", transfer(net, arch, calibrate(net, arch, images)))
    files = tmp_path / "network.safetensors", tiny_files / "people.json", tiny_files / "images"
    assert draw(*files, out=tmp_path / "shown.png") > 0
    assert draw(*files, out=tmp_path / "white.png", photographs=False) > 0
    shown, white = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("shown", "white"))
    assert shown is not None
    assert white is not None
    assert (white == 255).mean() > 0.5 > (shown == 255).mean()
    # The truth is drawn in one grey.
    assert ((white == 190).all(axis=2)).sum() > 20
