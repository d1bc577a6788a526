"""int8 export: images that calibrate it, and how like its poses are to those of fp32."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nas.arrays import Floats, Pixels
from nas.coco import AREA_OF_BOX
from nas.codecs import Poses
from nas.codecs.affine import box_affine, image_affine, image_box, warp_image
from nas.codecs.similarity import keypoint_similarity
from nas.data import Annotations, load_annotations
from nas.errors import UserError
from nas.evaluate.inputs import InputSource
from nas.evenly import evenly
from nas.pictures import Orientation, read_picture
from nas.runtime.model import PoseModel
from nas.runtime.poses import box_areas, pose_boxes
from nas.runtime.sources import find_pictures

_TINY = float(np.finfo(np.float64).tiny)
_HELD = 500
"""Images that accuracy is measured on, at most."""


@dataclass(frozen=True)
class Shift:
    """How far keypoints of one model lie from those of another on the same images.

    Args:
        images: network inputs that were compared.
        poses: that the reference found.
        missing: of them, those on whose image the other found nobody.
        mean_px, median_px: distance of a keypoint in pixels of the network's input, weighted by the
            reference's keypoint scores; 0 where there is nothing to compare.
        similarity: OKS of the other's poses with the reference's, weighted by the reference's scores (of
            keypoints and of poses); 1 where there is nothing to compare.
    """

    images: int
    poses: int
    missing: int
    mean_px: float
    median_px: float
    similarity: float

    def to_json(self) -> dict[str, Any]:
        """Plain values, for printing."""
        return {
            "images": self.images,
            "poses": self.poses,
            "missing_poses": self.missing,
            "mean_shift_px": self.mean_px,
            "median_shift_px": self.median_px,
            "similarity": self.similarity,
        }


@dataclass(frozen=True)
class CalibrationData:
    """What int8 is made from, and what it is judged on.

    Args:
        inputs: of the network, [H, W, 3], whose activations show the ranges.
        held: annotated images to measure accuracy on; None of a folder of pictures.
        fresh: whether these are others than those of the inputs.
    """

    inputs: Sequence[Pixels]
    held: Annotations | None = None
    fresh: bool = True


def calibration_data(
    model: PoseModel,
    data: Path,
    images: Path | None,
    *,
    count: int,
    orientation: Orientation = "turned",
    category: str | None = None,
) -> CalibrationData:
    """At most `count` inputs of a network, spread evenly over a data set, and others of its images.

    Args:
        model: gives task and resolution.
        data: COCO keypoint annotations (a crop network is shown people in their true boxes), or a folder of
            pictures, each shown as a whole.
        images: the folder that file names of annotations start from.
        count: how many.
        orientation: whether pictures are turned as their orientation flag says.
        category: as in `load_annotations`.

    Raises:
        UserError: the data cannot be read or hold no usable image.
    """
    if data.is_dir():
        chosen = spread(_pictures(data), count)
        return CalibrationData([_whole(path, model, orientation) for path in chosen])
    if images is None:
        raise UserError(f"{data}: name the folder that its file names start from with `images`")
    loaded = load_annotations(data, images, model.skeleton, category=category)
    annotations = replace(loaded, orientation=orientation)
    usable: Sequence[int] = range(len(annotations.images))
    if model.task == "crop":
        usable = annotations.labelled_images.tolist()
    shown = spread(usable, count)
    batches = InputSource(_some(annotations, shown), model).batches(count, workers=2)
    found = spread([item.pixels for batch in batches for item in batch], count)
    if not found:
        raise UserError(f"{data}: holds no image that the network could be shown")
    others = sorted(set(annotations.labelled_images.tolist()) - set(shown))
    held = _some(annotations, spread(others or shown, _HELD))
    return CalibrationData(found, held, fresh=bool(others))


def _some(annotations: Annotations, images: Sequence[int]) -> Annotations:
    """Those of the images at these positions."""
    return annotations.select(annotations.images[image].id for image in images)


def pose_shift(reference: PoseModel, other: PoseModel, inputs: Sequence[Pixels]) -> Shift:
    """How far `other` moves the keypoints that `reference` finds in inputs [H, W, 3].

    A pose is compared with the nearest one on its image.
    """
    distances: list[Floats] = []
    weights: list[Floats] = []
    likeness: list[tuple[float, float]] = []
    poses = missing = 0
    for expected, found in zip(_poses(reference, inputs), _poses(other, inputs), strict=True):
        poses += len(expected.scores)
        if not len(found.scores):
            missing += len(expected.scores)
            likeness += [(0.0, float(score)) for score in expected.scores]
            continue
        alike = keypoint_similarity(
            found.keypoints,
            expected.keypoints,
            areas=_areas(expected, reference),
            sigmas=reference.skeleton.sigmas,
        )
        for number, keypoints in enumerate(expected.keypoints):
            weight = np.clip(keypoints[:, 2], 0, None).astype(np.float64)
            apart = np.linalg.norm(found.keypoints[..., :2] - keypoints[:, :2], axis=-1)
            nearest = int(np.argmin(apart @ weight))
            distances.append(apart[nearest])
            weights.append(weight)
            alone = alike[nearest, number] @ weight / max(float(weight.sum()), _TINY)
            likeness.append((float(alone), float(expected.scores[number]) * float(weight.any())))
    mean, median = _weighted(np.concatenate([[], *distances]), np.concatenate([[], *weights]))
    oks, shares = np.array(likeness).reshape(-1, 2).T
    similarity = _weighted(oks, shares)[0] if shares.sum() else 1.0
    return Shift(len(inputs), poses, missing, mean, median, similarity)


def _areas(poses: Poses, model: PoseModel) -> Floats:
    """[N] px^2 of people: of a crop its box, else of the box around the keypoints."""
    if model.task == "crop":
        height, width = model.resolution
        return np.full(len(poses.scores), AREA_OF_BOX * height * width / model.padding**2)
    return np.nan_to_num(AREA_OF_BOX * box_areas(pose_boxes(poses.keypoints)))


def _poses(model: PoseModel, inputs: Sequence[Pixels]) -> Iterator[Poses]:
    codec = model.codec
    for pixels in inputs:
        yield codec.group(model.candidates(pixels[None])[0])


def _weighted(values: Floats, weights: Floats) -> tuple[float, float]:
    """Weighted mean and median; zeros where no weight is."""
    total = weights.sum()
    if total == 0:
        return 0.0, 0.0
    order = np.argsort(values)
    half = int(np.searchsorted(np.cumsum(weights[order]), total / 2))
    return float(values @ weights / total), float(values[order[min(half, len(order) - 1)]])


def _whole(path: Path, model: PoseModel, orientation: Orientation) -> Pixels:
    pixels = read_picture(path, orientation=orientation)
    size = pixels.shape[:2]
    if model.task == "image":
        return warp_image(pixels, image_affine(size, model.resolution), model.resolution)
    return warp_image(pixels, box_affine(image_box(size), model.resolution), model.resolution)


def _pictures(folder: Path) -> list[Path]:
    pictures, failures = find_pictures([folder])
    for failure in failures:
        raise UserError(f"{failure.path}: {failure.reason}")
    return [picture.path for picture in pictures]


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of the items, evenly spaced."""
    return [items[place] for place in evenly(len(items), count)]
