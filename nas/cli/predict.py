"""`nas predict`: poses in photographs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.console import print_json, print_table, remark, say
from nas.cli.displays import progress_lines
from nas.cli.options import finite
from nas.errors import UserError

if TYPE_CHECKING:
    from nas.runtime.prediction import Prediction
    from nas.runtime.sources import Failure

SOME_FAILED = 1
_MOST_NAMED = 20


def predict(
    model: Annotated[Path, typer.Argument(help="A network that `nas export` wrote.")],
    images: Annotated[
        list[Path], typer.Argument(help="Images, and folders that are searched for them with all below.")
    ],
    output: Annotated[Path, typer.Option("--out", help="Folder for the drawings.")] = Path("predictions"),
    boxes: Annotated[
        Path | None,
        typer.Option(help="COCO annotations whose boxes a network for crops is shown; else whole images."),
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Whose boxes, by name, where the annotations have several categories.")
    ] = None,
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
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of onnxruntime.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find the people in images and draw their poses. Needs no torch.

    Exit code 1 says that some of the images could not be read or drawn, 2 that nothing was done.
    """
    from nas.files import DiskFullError
    from nas.runtime import OnnxModel, PosePipeline
    from nas.runtime.boxes import listed_boxes
    from nas.runtime.drawing import MIN_KEYPOINT, MIN_POSE
    from nas.runtime.prediction import Prediction, predict_pictures
    from nas.runtime.sources import drawing_files, find_pictures, make_folder

    least = MIN_POSE if min_score is None else min_score
    least_keypoint = MIN_KEYPOINT if min_keypoint is None else min_keypoint
    if category is not None and boxes is None:
        raise UserError("--category says whose boxes are meant: give --boxes as well")
    network = OnnxModel(model, threads=threads)
    if boxes is not None and network.task == "image":
        raise UserError(f"--boxes: {model} finds people by itself in whole images, it takes no boxes")
    pictures, failures = find_pictures(images, drawings=output)
    drawings = drawing_files(pictures, output)
    known = None if boxes is None else listed_boxes(boxes, pictures, category=category, say=remark)
    make_folder(output)
    if not network.scored:
        remark(f"{model}: its head does not measure how sure it is; every confidence is 1")

    done: list[Prediction] = []
    full = None
    lines = progress_lines("images")
    try:
        for result in predict_pictures(
            PosePipeline(network), drawings, boxes=known, min_pose=least, min_keypoint=least_keypoint
        ):
            if isinstance(result, Prediction):
                done.append(result)
            else:
                failures.append(result)
            lines(len(done) + len(failures), len(pictures))
    except DiskFullError as error:
        full = f"{error}; {len(done)} of {len(pictures)} images are drawn"
    except KeyboardInterrupt:
        remark(f"{len(done)} of {len(pictures)} images are drawn in {output}")
        raise
    if as_json:
        print_json(_document(network.skeleton.keypoints, done, failures))
    else:
        _print_drawings(done, failures, output)
    _end(done, failures, full)


def _document(
    keypoints: Sequence[str], done: Sequence["Prediction"], failures: Sequence["Failure"]
) -> dict[str, Any]:
    return {
        "keypoints": list(keypoints),
        "images": [
            {
                "image": str(prediction.picture.path),
                "drawing": str(prediction.drawing),
                "poses": [
                    {"score": float(score), "keypoints": points.tolist()}
                    for points, score in zip(prediction.poses.keypoints, prediction.poses.scores, strict=True)
                ],
            }
            for prediction in done
        ],
        "failed": [{"image": str(failure.path), "reason": failure.reason} for failure in failures],
    }


def _print_drawings(done: Sequence["Prediction"], failures: Sequence["Failure"], output: Path) -> None:
    if not done:
        return
    rows = ((str(found.picture.path), len(found.poses), str(found.drawing)) for found in done)
    print_table(None, ("image", "people", "drawing"), rows)
    people = sum(len(found.poses) for found in done)
    failed = f", {len(failures)} failed" if failures else ""
    say(f"{len(done)} drawings in {output}: {people} people{failed}")


def _end(done: Sequence["Prediction"], failures: Sequence["Failure"], full: str | None) -> None:
    """Name what failed, and say it by the exit code."""
    if not done and not full and len(failures) == 1:
        raise UserError(f"{failures[0].path}: {failures[0].reason}")
    for failure in failures[:_MOST_NAMED]:
        remark(f"{failure.path}: {failure.reason}")
    if len(failures) > _MOST_NAMED:
        remark(f"... and {len(failures) - _MOST_NAMED} more; --json names all")
    if not done:
        raise UserError(full or f"none of the {len(failures)} images could be read and drawn")
    if full:
        remark(f"Error: {full}")
    elif failures:
        remark(f"{len(failures)} of {len(done) + len(failures)} images could not be read and drawn")
    if full or failures:
        raise typer.Exit(SOME_FAILED)
