"""int8 export: images that calibrate it, and how far it moves what a network finds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.codecs import Poses
from nas.codecs.affine import box_affine, image_affine, image_box, warp_image
from nas.data import load_annotations
from nas.errors import UserError
from nas.evaluate.inputs import InputSource
from nas.pictures import Orientation, read_picture
from nas.runtime.model import PoseModel
from nas.runtime.sources import find_pictures

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Shift:
    """How far keypoints of one model lie from those of another on the same images.

    Args:
        images: network inputs that were compared.
        poses: that the reference found.
        missing: of them, those on whose image the other found nobody.
        mean_px, median_px: distance of a keypoint in pixels of the network's input, weighted by the
            reference's keypoint scores; 0 where there is nothing to compare.
    """

    images: int
    poses: int
    missing: int
    mean_px: float
    median_px: float

    def to_json(self) -> dict[str, Any]:
        """Plain values, for printing."""
        return {
            "images": self.images,
            "poses": self.poses,
            "missing_poses": self.missing,
            "mean_shift_px": self.mean_px,
            "median_shift_px": self.median_px,
        }


def calibration_inputs(
    model: PoseModel,
    data: Path,
    images: Path | None,
    *,
    count: int,
    orientation: Orientation = "turned",
    category: str | None = None,
) -> list[Pixels]:
    """At most `count` inputs [H, W, 3] of a network, spread evenly over a data set.

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
        return [_whole(path, model, orientation) for path in _spread(_pictures(data), count)]
    if images is None:
        raise UserError(f"{data}: name the folder that its file names start from with `images`")
    loaded = load_annotations(data, images, model.skeleton, category=category)
    annotations = replace(loaded, orientation=orientation)
    usable: Sequence[int] = range(len(annotations.images))
    if model.task == "crop":
        usable = annotations.labelled_images.tolist()
    chosen = annotations.select(annotations.images[image].id for image in _spread(usable, count))
    batches = InputSource(chosen, model).batches(count, workers=2)
    found = [item.pixels for item in next(batches, [])]
    if not found:
        raise UserError(f"{data}: holds no image that the network could be shown")
    return found


def pose_shift(reference: PoseModel, other: PoseModel, inputs: Sequence[Pixels]) -> Shift:
    """How far `other` moves the keypoints that `reference` finds in inputs [H, W, 3].

    A pose is compared with the nearest one on its image.
    """
    distances: list[NDArray[np.float64]] = []
    weights: list[NDArray[np.float64]] = []
    poses = missing = 0
    for expected, found in zip(_poses(reference, inputs), _poses(other, inputs), strict=True):
        poses += len(expected.scores)
        if not len(found.scores):
            missing += len(expected.scores)
            continue
        for keypoints in expected.keypoints:
            weight = np.clip(keypoints[:, 2], 0, None).astype(np.float64)
            apart = np.linalg.norm(found.keypoints[..., :2] - keypoints[:, :2], axis=-1)
            distances.append(apart[int(np.argmin(apart @ weight))])
            weights.append(weight)
    mean, median = _weighted(np.concatenate([[], *distances]), np.concatenate([[], *weights]))
    return Shift(len(inputs), poses, missing, mean, median)


def _poses(model: PoseModel, inputs: Sequence[Pixels]) -> Iterator[Poses]:
    codec = model.codec
    for pixels in inputs:
        yield codec.group(model.candidates(pixels[None])[0])


def _weighted(values: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
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


def _spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of the items, evenly spaced."""
    places = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))
    return [items[place] for place in places]
