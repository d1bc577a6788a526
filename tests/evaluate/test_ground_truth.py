"""How good a decode can be at best: annotated people, encoded, decoded, grouped and mapped back."""

import numpy as np
import pytest

from nas.codecs.affine import affine_scale, apply_affine, image_affine, invert
from nas.codecs.associative_embedding import AssociativeEmbeddingCodec
from nas.codecs.center import CenterCodec
from nas.codecs.maps import to_cells, to_pixels
from nas.codecs.part_affinity import PartAffinityCodec
from nas.codecs.types import People, Poses
from nas.data.coco import load_annotations
from nas.evaluate import coco_results, oks_ap
from nas.space.skeleton import Skeleton


@pytest.fixture(scope="module")
def groups(shared_data):
    """The images with three or more labelled people."""
    path = shared_data / "coco_val2017_annotations" / "person_keypoints_val2017_subset.json"
    annotations = load_annotations(path, None, Skeleton.load("coco17"))
    people = np.bincount(
        annotations.people.image[annotations.people.labelled], minlength=len(annotations.images)
    )
    return annotations.select(annotations.images[position].id for position in np.flatnonzero(people >= 3))


def best_ap(annotations, resolution, decode):
    """AP of `decode(people in input px) -> poses in input px` over all images."""
    truth, detections = annotations.people, []
    for position, image in enumerate(annotations.images):
        affine = image_affine(image.size, resolution)
        span = annotations.people_of(position)
        rows = np.arange(span.start, span.stop)[truth.labelled[span]]
        people = People(
            keypoints=apply_affine(truth.keypoints[rows], affine),
            areas=truth.areas[rows] * affine_scale(affine) ** 2,
            boxes=apply_affine(truth.boxes[rows].reshape(-1, 2, 2), affine).reshape(-1, 4),
        )
        detections += coco_results(decode(people), invert(affine), image_id=image.id)
    return oks_ap(annotations.to_coco(), detections, annotations.skeleton)["AP"]


def quantised(stride):
    """Cells of a stride and a quarter shift, without maps, tags or grouping."""

    def decode(people):
        cells = to_cells(people.keypoints[..., :2], stride)
        nearest = np.floor(cells + 0.5)
        places = to_pixels(nearest + 0.25 * np.sign(cells - nearest), stride)
        seen = (people.keypoints[..., 2] > 0).astype(float)
        return Poses(np.concatenate([places, seen[..., None]], axis=-1), seen.mean(1))

    return decode


@pytest.mark.parametrize(
    ("stride", "expected"),
    [(2, (0.997, 0.997, 1.0)), (4, (0.91, 0.96, 0.997)), (8, (0.68, 0.82, 0.91))],
)
def test_cells_and_quarter_shift_cost_what_is_known(groups, stride, expected):
    measured = [best_ap(groups, (side, side), quantised(stride)) for side in (256, 384, 512)]
    assert measured == pytest.approx(expected, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("side", "least"), [(256, 0.975), (384, 0.987), (512, 0.988)])
def test_associative_embedding_loses_little_more(groups, side, least):
    """Below the quantisation alone: neighbours' equal joints share a peak or a cell."""
    codec = AssociativeEmbeddingCodec(groups.skeleton, (side, side))

    def decode(people):
        outputs = {**codec.encode(people), "tags": codec.ideal_tags(people)}
        return codec.group(codec.decode_maps(outputs))

    assert best_ap(groups, (side, side), decode) >= least


@pytest.mark.slow
@pytest.mark.parametrize(("side", "least"), [(256, 0.73), (384, 0.83), (512, 0.86)])
def test_part_affinity_loses_neighbours_and_whom_limbs_cannot_find(groups, side, least):
    """Same joints less than two cells apart are one peak; people of one or two joints are no pose."""
    codec = PartAffinityCodec(groups.skeleton, (side, side))

    def decode(people):
        return codec.group(codec.decode_maps(codec.encode(people)))

    assert best_ap(groups, (side, side), decode) >= least


@pytest.mark.slow
@pytest.mark.parametrize(("side", "least"), [(256, 0.98), (384, 0.985), (512, 0.985)])
def test_centres_lose_whose_centres_are_stacked(groups, side, least):
    codec = CenterCodec(groups.skeleton, (side, side), {"people": 30})

    def decode(people):
        return codec.group(codec.decode_maps(codec.ideal_maps(people)))

    assert best_ap(groups, (side, side), decode) >= least
