"""The poses of many pictures, each drawn into a copy of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nas.codecs import Poses
from nas.errors import UserError
from nas.files import DiskFullError, write_bytes
from nas.pictures import UnreadablePictureError, read_picture
from nas.runtime.boxes import Boxes
from nas.runtime.drawing import MIN_KEYPOINT, MIN_POSE, draw_poses
from nas.runtime.pipeline import PosePipeline
from nas.runtime.sources import Failure, Identity, Picture, identity_of

_NOBODY = np.zeros((0, 4))


@dataclass(frozen=True)
class Prediction:
    """The poses of a picture.

    Args:
        picture: where they were found.
        drawing: the file that shows them.
        poses: in the picture's pixels.
    """

    picture: Picture
    drawing: Path
    poses: Poses


def predict_pictures(
    pipeline: PosePipeline,
    pictures: Mapping[Picture, Path],
    *,
    boxes: Mapping[Picture, Boxes] | None = None,
    min_pose: float = MIN_POSE,
    min_keypoint: float = MIN_KEYPOINT,
) -> Iterator[Prediction | Failure]:
    """For every picture, in order, its poses once their drawing is written, or why there is none.

    Args:
        pipeline: finds poses.
        pictures: and the files of their drawings (`drawing_files`).
        boxes: [N, 4] of the people in pictures; in a picture that it lacks nobody is looked for. None where
            boxes are not known.
        min_pose: poses of a lower score are left out.
        min_keypoint: keypoints of a lower score are not drawn.

    Raises:
        UserError: the disk takes nothing more; the drawings before are whole.
    """
    written: dict[Identity | None, Path] = {}
    for picture, drawing in pictures.items():
        try:
            pixels = read_picture(picture.path)
            found = pipeline(pixels, None if boxes is None else boxes.get(picture, _NOBODY))
            kept = found.scores >= min_pose
            poses = Poses(found.keypoints[kept], found.scores[kept])
            content = _png(draw_poses(pixels, poses, pipeline.model.skeleton, min_keypoint=min_keypoint))
            # Where upper and lower case are the same, or a folder is a link, names that differ may not.
            if former := written.get(identity_of(drawing)):
                raise UserError(f"its drawing would take the place of {former}, drawn before")
            write_bytes(drawing, content)
        except DiskFullError:
            raise
        except UnreadablePictureError as error:
            yield Failure(picture.path, error.reason)
        except (UserError, cv2.error, MemoryError) as error:
            yield Failure(picture.path, " ".join(str(error).split()) or type(error).__name__)
        else:
            if identity := identity_of(drawing):
                written[identity] = drawing
            yield Prediction(picture, drawing, poses)


def _png(image: np.ndarray) -> bytes:
    """An RGB image [H, W, 3] as the content of a PNG file."""
    made, content = cv2.imencode(".png", image[..., ::-1])
    if not made:
        raise UserError("the drawing cannot be written as PNG")
    return bytes(content)
