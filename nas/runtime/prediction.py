"""The poses of many pictures and of videos, each drawn into a copy of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nas.arrays import Pixels
from nas.errors import UserError
from nas.files import DiskFullError, write_bytes
from nas.pictures import UnreadablePictureError, read_picture
from nas.runtime.boxes import Boxes
from nas.runtime.drawing import draw_people
from nas.runtime.frames import ColourFrame, FramePoses
from nas.runtime.pipeline import PosePipeline
from nas.runtime.poses import MIN_KEYPOINT, MIN_POSE
from nas.runtime.sources import Failure, Identity, Picture, identity_of
from nas.runtime.stages import StageTimes
from nas.runtime.stream import PoseStream
from nas.runtime.video import VideoFrame, VideoReader
from nas.runtime.video_writer import VideoWriter

_NOBODY = np.zeros((0, 4))


@dataclass(frozen=True)
class DrawingStyle:
    """How people are drawn.

    Args:
        min_keypoint: keypoints of a lower score are not drawn.
        boxes: whether people's boxes are.
    """

    min_keypoint: float = MIN_KEYPOINT
    boxes: bool = False


@dataclass(frozen=True)
class Prediction:
    """The people of a picture, or of a frame of a video.

    Args:
        source: the picture's path, or the video's name.
        people: in its pixels.
        ms: milliseconds of each stage.
        drawing: the file that shows them; None where nothing is drawn.
        frame: which one of a video, from 0.
        seconds: of a video, since its first frame.
    """

    source: str
    people: FramePoses
    ms: Mapping[str, float]
    drawing: Path | None = None
    frame: int | None = None
    seconds: float | None = None


def predict_pictures(
    pipeline: PosePipeline,
    pictures: Sequence[Picture],
    *,
    drawings: Mapping[Picture, Path] | None,
    boxes: Mapping[Picture, Boxes] | None = None,
    min_pose: float = MIN_POSE,
    style: DrawingStyle | None = None,
) -> Iterator[Prediction | Failure]:
    """For every picture, in order, its people once their drawing is written, or why there is none.

    Args:
        pipeline: finds poses.
        pictures: to look at.
        drawings: the files of their drawings (`drawing_files`); None to draw nothing.
        boxes: [N, 4] of the people in pictures; in a picture that it lacks nobody is looked for. None where
            boxes are not known.
        min_pose: poses of a lower score are left out.
        style: of the drawings.

    Raises:
        UserError: the disk takes nothing more; the drawings before are whole.
    """
    style = style or DrawingStyle()
    skeleton = pipeline.model.skeleton
    written: dict[Identity | None, Path] = {}
    for picture in pictures:
        drawing = None if drawings is None else drawings[picture]
        times = StageTimes()
        try:
            with times("read"):
                frame = ColourFrame(read_picture(picture.path))
            found = pipeline.look(frame, None if boxes is None else boxes.get(picture, _NOBODY), times=times)
            people = found.at(found.poses.scores >= min_pose)
            if drawing is not None:
                with times("draw"):
                    drawn = draw_people(
                        frame, people, skeleton, min_keypoint=style.min_keypoint, boxes=style.boxes
                    )
                with times("write"):
                    content = _png(drawn)
                    # Where upper and lower case are the same, or a folder is a link, other names may not
                    # be another place.
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
            if drawing is not None and (identity := identity_of(drawing)):
                written[identity] = drawing
            yield Prediction(str(picture.path), people, times.ms, drawing)


def predict_video(
    stream: PoseStream,
    reader: VideoReader,
    *,
    writer: VideoWriter | None = None,
    show: Callable[[Pixels], bool] | None = None,
    style: DrawingStyle | None = None,
) -> Iterator[Prediction]:
    """For every frame that can be read, in order, its people once they are drawn.

    Args:
        stream: finds poses; it forgets whom it knew.
        reader: of the video.
        writer: takes the drawn frames; who opened it closes it.
        show: takes them too, and says whether there should be more.
        style: of the drawings.

    Raises:
        UserError: a frame cannot be run, or the drawing not be written.
    """
    style = style or DrawingStyle()
    skeleton = stream.pipeline.model.skeleton
    stream.reset()
    for frame, times in _timed(reader):
        shown = ColourFrame(frame.pixels, bgr=True)
        people = stream(shown, seconds=frame.seconds, times=times)
        wanted = True
        if writer is not None or show is not None:
            with times("draw"):
                drawn = draw_people(
                    shown, people, skeleton, min_keypoint=style.min_keypoint, boxes=style.boxes
                )
            with times("write"):
                if writer is not None:
                    writer.add(drawn, frame.seconds)
                wanted = show is None or show(drawn)
        drawing = None if writer is None else writer.path
        yield Prediction(reader.source.name, people, times.ms, drawing, frame.number, frame.seconds)
        if not wanted:
            return


def _timed(reader: VideoReader) -> Iterator[tuple[VideoFrame, StageTimes]]:
    """The frames of a video, each with a clock that knows how long it was read."""
    frames = iter(reader)
    while True:
        times = StageTimes()
        with times("read"):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame, times


def _png(image: Pixels) -> bytes:
    """An RGB image [H, W, 3] as the content of a PNG file."""
    made, content = cv2.imencode(".png", image[..., ::-1])
    if not made:
        raise UserError("the drawing cannot be written as PNG")
    return bytes(content)
