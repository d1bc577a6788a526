"""From images to poses in their pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from nas.arrays import Floats, Pixels
from nas.codecs import Poses
from nas.codecs.affine import (
    Affine,
    apply_affine,
    box_affine,
    boxes_through,
    crop_affine,
    image_affine,
    image_box,
    invert,
    turned_scale,
)
from nas.errors import UserError
from nas.pictures import read_picture
from nas.runtime.detector import Detector
from nas.runtime.frames import Channels, ColourFrame, FramePoses
from nas.runtime.model import PoseModel
from nas.runtime.poses import distinct, people_boxes
from nas.runtime.stages import StageTimes

Image = Pixels | ColourFrame | Path | str
"""An array, or a file."""

FARTHEST_BOX = 1e6
"""Pixels from the image, beyond any that can be read."""

_BATCH = 32
"""Inputs that are made at once, which bounds the memory that an image of many people takes."""


class PosePipeline:
    """Find boxes, warp, run, group, map back. Nothing is remembered from one image to the next.

    Args:
        model: an exported network, or any other `PoseModel`.
        detector: finds people for a network that sees crops, where no boxes are given; without one the whole
            image is taken for one person's crop.
        padding: how much boxes are grown before a crop network sees them; as it was trained, unless told.

    Raises:
        UserError: a detector for a network that finds people by itself.
    """

    def __init__(
        self, model: PoseModel, detector: Detector | None = None, *, padding: float | None = None
    ) -> None:
        if detector is not None and model.task == "image":
            raise UserError("this network finds people by itself in whole images: it takes no `detector`")
        self.model = model
        self.detector = detector
        self.padding = model.padding if padding is None else padding
        self._codec = model.codec

    def __call__(self, image: Image, boxes: ArrayLike | None = None, *, colour: Channels = "rgb") -> Poses:
        """The poses in an image, in its pixels.

        Args:
            image: [H, W, channels] (grey ones [H, W] too), or a file.
            boxes: [N, 4] x0, y0, x1, y1 (px) of people, for a crop network; it answers each with one pose at
                most. Left out, a detector finds them; without one the whole image is taken for one person's
                crop.
            colour: what an array's channels are; OpenCV's are "bgr".

        Raises:
            UserError: the file cannot be read, the array is of other channels, a box has no extent, or boxes
                are given to a network for whole images.
        """
        return self.look(image, boxes, colour=colour).poses

    def batch(
        self,
        images: Sequence[Image] | Pixels,
        boxes: Sequence[ArrayLike | None] | None = None,
        *,
        colour: Channels = "rgb",
        quick: bool = False,
    ) -> list[Poses]:
        """The poses in each of several images, run at once where the model allows; else as for one image.

        Args:
            images: a list, or an array [B, H, W, channels].
            boxes: of each image.
            colour: as for one image.
            quick: as of `by_box`.

        Raises:
            UserError: as for one image, or there are boxes of another number of images.
        """
        frames = [as_frame(image, colour) for image in images]
        if boxes is not None and len(boxes) != len(frames):
            raise UserError(f"`boxes` of {len(boxes)} images for {len(frames)} images")
        places = self.places(frames) if boxes is None else list(boxes)
        affines = [self._affines(frame.size, box) for frame, box in zip(frames, places, strict=True)]
        views = [(frame, own) for frame, each in zip(frames, affines, strict=True) for own in each]
        found = iter(self._run(views, quick=quick))
        answers = [
            self.people([next(found) for _ in each], box) for each, box in zip(affines, places, strict=True)
        ]
        return [(people if boxes is not None else self._once(people)).poses for people in answers]

    def look(
        self,
        image: Image,
        boxes: ArrayLike | None = None,
        *,
        colour: Channels = "rgb",
        times: StageTimes | None = None,
    ) -> FramePoses:
        """The people in an image with their boxes; for arguments and errors see above.

        `times` takes what each stage needs.
        """
        times = times or StageTimes()
        frame = as_frame(image, colour)
        (place,) = self.places([frame], times=times) if boxes is None else (boxes,)
        people = self.people(self.by_box(frame, place, times=times), place)
        return people if boxes is not None else self._once(people)

    def places(
        self, frames: Sequence[ColourFrame], *, times: StageTimes | None = None
    ) -> list[ArrayLike | None]:
        """Where to look for people in each frame: what a detector says, or None for all of it."""
        if self.detector is None:
            return [None] * len(frames)
        with (times or StageTimes())("detect"):
            return [found.boxes for found in self.detector(frames)]

    def by_box(
        self,
        image: Image,
        boxes: ArrayLike | None = None,
        *,
        colour: Channels = "rgb",
        rotation: float = 0.0,
        flip: bool = False,
        quick: bool = False,
        times: StageTimes | None = None,
    ) -> list[Poses]:
        """The poses of every box, or of the whole image alone, in the image's pixels.

        Args:
            image: as above.
            boxes: as above; left out, nobody asks a detector.
            colour: as above.
            rotation: degrees by which the network sees its input turned, clockwise; a whole image is made
                smaller, so that its corners stay in sight.
            flip: whether the network sees it mirrored. A joint has the name that it has in the image.
            quick: whether inputs are made of large images in less time, a little sharper.
            times: takes what each stage needs.

        Raises:
            UserError: as above.
        """
        frame = as_frame(image, colour)
        affines = self._affines(frame.size, boxes, rotation=rotation, flip=flip)
        return self._run([(frame, affine) for affine in affines], flip=flip, quick=quick, times=times)

    def _run(
        self,
        views: Sequence[tuple[ColourFrame, Affine]],
        *,
        flip: bool = False,
        quick: bool = False,
        times: StageTimes | None = None,
    ) -> list[Poses]:
        """The poses of every view of a frame, in the frame's pixels."""
        times = times or StageTimes()
        mirrored = list(self.model.skeleton.flip_index)
        found: list[Poses] = []
        for start in range(0, len(views), _BATCH):
            part = views[start : start + _BATCH]
            with times("prepare"):
                resolution = self.model.resolution
                inputs = np.empty((len(part), *resolution, 3), np.uint8)
                for (frame, affine), own in zip(part, inputs, strict=True):
                    frame.through(affine, resolution, quick=quick, out=own)
            with times("network"):
                outputs = self.model.candidates(inputs)
            with times("decode"):
                for candidates, (_, affine) in zip(outputs, part, strict=True):
                    poses, back = self._codec.group(candidates), invert(affine)
                    keypoints = poses.keypoints[:, mirrored] if flip else poses.keypoints
                    boxes = None if poses.boxes is None else boxes_through(poses.boxes, back)
                    found.append(Poses(apply_affine(keypoints, back), poses.scores, boxes))
        return found

    def people(self, found: Sequence[Poses], boxes: ArrayLike | None) -> FramePoses:
        """The people of what `by_box` found, each with its box."""
        poses = Poses.joined(found, keypoints=len(self.model.skeleton))
        if boxes is None:
            around = people_boxes(poses)
        else:
            rows = np.repeat(np.arange(len(found)), np.array([len(poses) for poses in found], np.intp))
            around = np.asarray(boxes, np.float64).reshape(-1, 4)[rows]
        return FramePoses(poses, around, np.zeros(len(poses), np.int64))

    def _once(self, people: FramePoses) -> FramePoses:
        """Of several poses of one person the best: a detector may find somebody twice."""
        if self.detector is None:
            return people
        return people.at(distinct(people.poses, sigmas=self.model.skeleton.sigmas))

    def _affines(
        self,
        size: tuple[int, int],
        boxes: ArrayLike | None,
        *,
        rotation: float = 0.0,
        flip: bool = False,
    ) -> list[Affine]:
        resolution = self.model.resolution
        if self.model.task == "image":
            if boxes is not None:
                raise UserError("this network finds people by itself in whole images: give it no boxes")
            scale = turned_scale(size, resolution, rotation)
            return [image_affine(size, resolution, scale=scale, rotation=rotation, flip=flip)]
        if boxes is None:
            return [box_affine(image_box(size), resolution, rotation=rotation, flip=flip)]
        return [
            crop_affine(box, resolution, self.padding, rotation=rotation, flip=flip)
            for box in _checked(boxes)
        ]


def as_frame(image: Image, colour: Channels = "rgb") -> ColourFrame:
    """The frame of an array of these channels, or of a file.

    Raises UserError as `ColourFrame.of` does, and for anything else, such as the None of `cv2.imread`.
    """
    if isinstance(image, ColourFrame):
        return image
    if isinstance(image, np.ndarray):
        return ColourFrame.of(image, colour)
    if isinstance(image, Path | str):
        return ColourFrame(read_picture(Path(image)))
    raise UserError(f"an image is a numpy array or the path of a file, not {type(image).__name__}")


def _checked(boxes: ArrayLike) -> Floats:
    """Boxes [N, 4] as they were given, one [4] as well.

    Raises:
        UserError: they are of another shape; a box has no extent, or one far beyond any image.
    """
    given = np.asarray(boxes, np.float64)
    if given.shape == (4,) or not given.size:
        given = given.reshape(-1, 4)
    if given.ndim != 2 or given.shape[1] != 4:
        raise UserError(f"boxes are x0, y0, x1, y1 of people [N, 4], not an array {list(given.shape)}")
    for number, box in enumerate(given):
        if not (np.abs(box) < FARTHEST_BOX).all() or (box[2:] <= box[:2]).any():
            raise UserError(
                f"box {number} has no extent, or none within reason (x0, y0, x1, y1): {box.tolist()}"
            )
    return given
