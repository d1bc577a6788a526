"""`nas predict`: poses in photographs, videos, cameras and streams."""

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nas.cli.console import remark
from nas.cli.displays import progress_lines
from nas.cli.options import JsonOption, finite
from nas.cli.predict_display import Outcome, VideoOutcome, end, print_document, print_outcome
from nas.errors import UserError

if TYPE_CHECKING:
    from nas.runtime import PoseStream
    from nas.runtime.prediction import DrawingStyle, Prediction
    from nas.runtime.records import Records
    from nas.runtime.sources import Failure, Picture
    from nas.runtime.video import VideoSource

_LOOK = "How it looks"
_VIDEO = "Videos, cameras, streams"
_FILES = "What is written"
_NO_DETECTOR = Path("none")


def predict(
    model: Annotated[
        Path, typer.Argument(help="A file that `nas export` wrote, or the name of a network that ships.")
    ],
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders that are searched for them with all below, patterns ('in/**/*.jpg'), "
            "videos, the number of a camera, the URL of a stream."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--out", help="Folder for the drawings.", rich_help_panel=_FILES)
    ] = Path("predictions"),
    draw: Annotated[
        bool, typer.Option("--draw/--no-draw", help="Write drawings.", rich_help_panel=_FILES)
    ] = True,
    coco_results: Annotated[
        Path | None,
        typer.Option(help="Write the results file of the COCO server here.", rich_help_panel=_FILES),
    ] = None,
    json_lines: Annotated[
        Path | None,
        typer.Option(help="Write a line of JSON for every image and frame here.", rich_help_panel=_FILES),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(help="COCO annotations whose boxes a network for crops is shown."),
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Whose boxes, by name, where the annotations have several categories.")
    ] = None,
    detector: Annotated[
        Path | None,
        typer.Option(
            help="What finds people for a network for crops: a network of ours for whole images, or another "
            "detector's ONNX file (docs/prediction.md); none: whole images are of one person each.",
            show_default="person-finder for networks that ship, none for other files",
        ),
    ] = None,
    detector_pixels: Annotated[
        Literal["rgb", "rgb255", "bgr255"] | None,
        typer.Option(
            help="What another detector's file wants to see: rgb from 0 to 1, or rgb or bgr from 0 to 255.",
            show_default="rgb",
        ),
    ] = None,
    every: Annotated[
        int,
        typer.Option(min=1, help="Ask the detector in every so many frames.", rich_help_panel=_VIDEO),
    ] = 1,
    track: Annotated[
        bool, typer.Option("--track", help="Give people ids that they keep.", rich_help_panel=_VIDEO)
    ] = False,
    smooth: Annotated[
        bool, typer.Option("--smooth", help="Smooth keypoints over time.", rich_help_panel=_VIDEO)
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Show frames in a window; q ends it.", rich_help_panel=_VIDEO)
    ] = False,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, callback=finite, help="Poses of a lower score are left out.", show_default="0.1"
        ),
    ] = None,
    min_keypoint: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            callback=finite,
            help="Keypoints of a lower score are not drawn.",
            show_default="0.2",
            rich_help_panel=_LOOK,
        ),
    ] = None,
    draw_boxes: Annotated[
        bool, typer.Option("--draw-boxes", help="Draw people's boxes too.", rich_help_panel=_LOOK)
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of onnxruntime.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Find the people in images and videos and draw their poses. Needs no torch.

    Exit code 1 says that some of the images could not be read or drawn, 2 that nothing was done.
    """
    from nas.files import DiskFullError
    from nas.runtime import OnnxModel, PosePipeline, PoseStream, load_detector
    from nas.runtime.boxes import listed_boxes
    from nas.runtime.given import sort_sources, video_drawings
    from nas.runtime.poses import MIN_KEYPOINT, MIN_POSE
    from nas.runtime.prediction import DrawingStyle, predict_pictures
    from nas.runtime.records import Records, numbered_images
    from nas.runtime.sources import drawing_files, find_pictures, make_folder
    from nas.runtime.stages import StagePercentiles
    from nas.runtime.window import require_display
    from nas.shipped import FINDER, is_shipped

    least = MIN_POSE if min_score is None else min_score
    style = DrawingStyle(MIN_KEYPOINT if min_keypoint is None else min_keypoint, boxes=draw_boxes)
    if category is not None and boxes is None:
        raise UserError("--category says whose boxes are meant: give --boxes as well")
    if detector_pixels is not None and detector is None:
        raise UserError("--detector-pixels says what a detector sees: give --detector as well")
    if boxes is not None and detector is not None:
        raise UserError("--boxes, --detector: both say where people are; give one of them")
    given = sort_sources(sources)
    if given.videos and boxes is not None:
        raise UserError("--boxes: these are of images; give --detector for videos")
    if not given.videos and (every > 1 or track or smooth or show):
        raise UserError("--every, --track, --smooth, --show: for videos, cameras and streams; none is given")
    if show:
        require_display()
    network = OnnxModel(model, threads=threads)
    if network.task == "image" and (boxes is not None or detector is not None):
        flag = "--detector" if boxes is None else "--boxes"
        raise UserError(f"{flag}: {model} finds people by itself in whole images, it takes no boxes")
    if detector is None and boxes is None and network.task == "crop" and is_shipped("subnets", network.path):
        detector = Path(FINDER)
        remark(f"people are found by {FINDER}; `--detector none` takes a whole image for one person")
    finder = (
        None
        if detector is None or detector == _NO_DETECTOR
        else load_detector(detector, threads=threads, detector_pixels=detector_pixels)
    )
    pipeline = PosePipeline(network, finder)
    stream = PoseStream(
        pipeline, every=every, track=track, smooth=smooth, min_pose=least, min_keypoint=style.min_keypoint
    )

    outcome = Outcome(network.skeleton.keypoints, output if draw else None, StagePercentiles())
    pictures: list[Picture] = []
    if given.pictures:
        pictures, outcome.failures = find_pictures(given.pictures, drawings=outcome.folder)
    outcome.asked = len(pictures)
    drawings = drawing_files(pictures, output) if draw else None
    videos: Mapping[VideoSource, Path | None] = dict.fromkeys(given.videos)
    if draw:
        videos = video_drawings(given.videos, output, datetime.now())
    known = None
    if boxes is not None:
        known = listed_boxes(boxes, pictures, category=category, say=remark)
    ids = {} if videos else numbered_images([picture.path for picture in pictures])
    if draw:
        make_folder(output)
    if not network.scored:
        remark(f"{model}: its head does not measure how sure it is; every confidence is 1")

    show_outcome = print_document if as_json else print_outcome
    try:
        with Records(lines=json_lines, results=coco_results, ids=ids) as records:
            found = predict_pictures(
                pipeline, pictures, drawings=drawings, boxes=known, min_pose=least, style=style
            )
            _look_at_pictures(found, records, outcome)
            for source, drawing in videos.items():
                video = VideoOutcome(source.name, drawing)
                try:
                    _look_at_video(
                        stream, source, video, style=style, show=show, records=records, outcome=outcome
                    )
                except DiskFullError:
                    raise
                except UserError as error:
                    outcome.fail(video, error)
    except DiskFullError as error:
        outcome.full = f"{error}; {outcome.done()}"
    except KeyboardInterrupt:
        remark(outcome.done())
        show_outcome(outcome)
        raise
    show_outcome(outcome)
    end(outcome)


def _look_at_pictures(found: "Iterable[Prediction | Failure]", records: "Records", outcome: Outcome) -> None:
    """Go through the pictures."""
    from nas.runtime.prediction import Prediction

    lines = progress_lines("images")
    for result in found:
        if isinstance(result, Prediction):
            records.add(result)
            outcome.stages.add(result.ms)
            outcome.pictures.append(result)
        else:
            outcome.failures.append(result)
        lines(len(outcome.pictures) + len(outcome.failures), outcome.asked)


def _look_at_video(
    stream: "PoseStream",
    source: "VideoSource",
    video: VideoOutcome,
    *,
    style: "DrawingStyle",
    show: bool,
    records: "Records",
    outcome: Outcome,
) -> None:
    """Go through a video; whatever ends it, what is drawn by then is kept."""
    from nas.runtime.prediction import predict_video
    from nas.runtime.video import VideoReader
    from nas.runtime.video_writer import VideoWriter
    from nas.runtime.window import PoseWindow

    with ExitStack() as opened:
        reader = opened.enter_context(VideoReader.open(source))
        lines, start = progress_lines(f"frames of {source.name}"), time.monotonic()
        writer = shown = None
        if video.drawing is not None:
            writer = opened.enter_context(VideoWriter(video.drawing, rate=reader.rate))
        if show:
            shown = opened.enter_context(PoseWindow(source.name)).show
        outcome.videos.append(video)
        try:
            for prediction in predict_video(stream, reader, writer=writer, show=shown, style=style):
                records.add(prediction)
                outcome.stages.add(prediction.ms)
                video.add(prediction)
                lines(video.frames, reader.total)
        finally:
            video.broken, video.passed_over = reader.broken, reader.passed_over
            video.seconds = time.monotonic() - start
