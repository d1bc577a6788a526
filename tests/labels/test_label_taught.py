"""Labels that were merged with a network's elsewhere are read like any others, for training too."""

from pathlib import Path

import numpy as np
import pytest

from nas.data import KeypointDataset, SampleRequest, load_annotations
from nas.space import Skeleton
from nas.space.arch import Head

FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")


@pytest.fixture(scope="module")
def lsp(shared_data: Path) -> Path:
    folder = shared_data / "lsp"
    if not (folder / "annotations" / "coco17_taught_train.json").is_file():
        pytest.skip(f"labels merged with a network's are not in {folder}")
    return folder


def test_taught_labels_are_read_for_training(lsp: Path) -> None:
    skeleton = Skeleton.load("coco17")
    given, taught = (
        load_annotations(lsp / "annotations" / f"coco17_{name}.json", lsp / "images", skeleton)
        for name in ("train", "taught_train")
    )
    assert [image.id for image in taught.images] == [image.id for image in given.images]
    assert int(taught.people.labelled.sum()) == int(given.people.labelled.sum()) == 1000
    assert int(taught.people.crowd.sum()) == 141
    face = [skeleton.index(name) for name in FACE]
    seen = [int((part.people.keypoints[:, face, 2] > 0).sum()) for part in (given, taught)]
    assert seen[0] == 0
    assert seen[1] > 4000


@pytest.mark.parametrize(("task", "head"), [("crop", "heatmap"), ("image", "center")])
def test_taught_labels_become_targets(lsp: Path, task: str, head: str) -> None:
    """A crop shows its person; whole images leave the crowds out of the loss."""
    skeleton = Skeleton.load("coco17")
    source = load_annotations(lsp / "annotations" / "coco17_taught_train.json", lsp / "images", skeleton)
    crowd = int(source.people.image[source.people.crowd][0])
    source = source.select([source.images[crowd].id])
    dataset = KeypointDataset([source], task="crop" if task == "crop" else "image")
    assert len(dataset) == 1
    request = SampleRequest(0, (0,), (96, 96), Head(head), augment=False)
    image, people = dataset.labelled(request)
    assert (image.shape, len(people)) == ((96, 96, 3), 1)
    assert (people.mask is not None and not people.mask.all()) == (task == "image")
    assert all(np.isfinite(target).all() for target in dataset[request].targets.values())
