"""The part of a run's report that shows people as they are labelled, and as the chosen networks see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nas.arrays import Floats, Pixels
from nas.codecs import Poses
from nas.data import Annotations
from nas.data.images import read_annotated
from nas.errors import UserError
from nas.evaluate import oks
from nas.evaluate.loading import load_model
from nas.evenly import evenly
from nas.report.html import paragraph, samples
from nas.report.run_files import Figures, run_of
from nas.report.sections import NO_SEARCH, MissingPartError
from nas.runs.data import open_data
from nas.runs.folder import RunFolder
from nas.runtime import PosePipeline, draw_poses
from nas.runtime.poses import MIN_KEYPOINT, MIN_POSE
from nas.space import Skeleton

_PICTURES = 6
_NETWORKS = 4
_SIDE = 320
"""Longer side of what is shown of a picture, px."""

_MARGIN = 0.15
_QUALITY = 85


@dataclass(frozen=True)
class SamplePicture:
    """One picture of a row: JPEG and what is said of it."""

    jpeg: bytes
    caption: str
    alt: str


def samples_section(run: RunFolder, results: Figures | None) -> str:
    """Pictures taken evenly from those to validate on: truth, then each network's answer."""
    if results is None:
        raise MissingPartError(NO_SEARCH)
    files = _files(run, results)
    if not files:
        raise MissingPartError(
            "trained weights of the networks that were found (subnets/NAME.safetensors or .onnx); "
            "nas finetune makes them."
        )
    try:
        sets, whose = _sets(run)
        networks = {path.stem: PosePipeline(load_model(path)) for path, own in files.items()}
        rows = [_row(part, position, networks) for part, position in _chosen(sets)]
    except UserError as error:
        raise MissingPartError(f"sample predictions ({error})") from error
    if not rows:
        raise MissingPartError(f"sample predictions (there is nobody in {whose})")
    return samples(rows) + paragraph(
        f"Pictures taken evenly from {whose}, not chosen by their answers. First the labels, then what each "
        "network finds, drawn as nas predict draws it; OKS (0 to 1) says how near that is to the labels, the "
        "mean of the people in the picture. A network that sees one person at a time is shown the labelled "
        "boxes.",
        note=True,
    )


def _files(run: RunFolder, results: Figures) -> dict[Path, RunFolder]:
    """Of the subnets that were trained or exported, and the run of each.

    Of many the fastest, the slowest, and some between.
    """
    found: dict[Path, RunFolder] = {}
    for entry in results["subnets"]:
        own = run_of(run, entry)
        paths = [own.subnets_folder / f"{entry['name']}{suffix}" for suffix in (".onnx", ".safetensors")]
        found |= dict.fromkeys([path for path in paths if path.is_file()][:1], own)
    files = list(found)
    return {files[index]: found[files[index]] for index in evenly(len(files), _NETWORKS)}


def _sets(run: RunFolder) -> tuple[Sequence[Annotations], str]:
    """Labelled images that no network was trained on, and what they are called. Raises UserError for none."""
    config = run.config()
    if config.workflow.test or config.data.validates:
        return config.load_validated(Skeleton.load(config.skeleton)), "the validation images"
    if not run.search_split_file.is_file():
        raise UserError("the recipe names no set to validate on")
    data = open_data(config, config.load_space(), run)
    return data.search, "the training images that are kept apart for the search"


def _chosen(sets: Sequence[Annotations]) -> list[tuple[Annotations, int]]:
    """Images with labelled people: each with its set."""
    pairs = [(part, int(position)) for part in sets for position in part.labelled_images]
    return [pairs[index] for index in evenly(len(pairs), _PICTURES)]


def _row(annotations: Annotations, position: int, networks: dict[str, PosePipeline]) -> list[SamplePicture]:
    """Truth and answers on one picture. Raises UserError where it cannot be read."""
    people = annotations.people
    rows = np.arange(len(people))[annotations.people_of(position)]
    rows = rows[people.labelled[rows]]
    image = read_annotated(annotations, position)
    truth, boxes = people.keypoints[rows], people.boxes[rows]
    window = _window(boxes, image.shape[:2])
    name = annotations.images[position].file
    labels = Poses(np.concatenate([truth[..., :2], truth[..., 2:] > 0], axis=-1), np.ones(len(truth)))
    pictures = [
        SamplePicture(_draw(image, labels, annotations.skeleton, window), "labels", f"{name}, labels")
    ]
    for called, pipeline in networks.items():
        found = pipeline(image, boxes if pipeline.model.task == "crop" else None)
        similar = oks(found.keypoints, truth, areas=people.areas[rows], sigmas=annotations.skeleton.sigmas)
        nearest = similar.max(0) if len(found) else np.zeros(len(truth))
        jpeg = _draw(image, found, annotations.skeleton, window)
        pictures.append(
            SamplePicture(jpeg, f"{called}: OKS {nearest.mean():.2f}", f"{name}, found by {called}")
        )
    return pictures


def _window(boxes: Floats, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """What is shown of a picture: x0, y0, x1, y1 of everyone in it with a margin."""
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    margin = _MARGIN * float((high - low).max())
    x0, y0 = np.clip(low - margin, 0, np.array(size[::-1]) - 2).astype(int)
    x1, y1 = np.minimum(np.ceil(high + margin).astype(int) + 1, size[::-1])
    return int(x0), int(y0), max(int(x1), int(x0) + 2), max(int(y1), int(y0) + 2)


def _draw(image: Pixels, poses: Poses, skeleton: Skeleton, window: tuple[int, int, int, int]) -> bytes:
    """A part of a picture as JPEG; resized before poses are drawn in, so that lines stay thin."""
    x0, y0, x1, y1 = window
    scale = _SIDE / max(x1 - x0, y1 - y0)
    width, height = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    view = np.asarray(cv2.resize(image[y0:y1, x0:x1], (width, height), interpolation=method), np.uint8)
    keypoints = np.array(poses.keypoints, np.float64)
    moved = (keypoints[..., :2] - (x0, y0) + 0.5) * (width / (x1 - x0), height / (y1 - y0)) - 0.5
    keypoints[..., :2] = moved
    drawn = draw_poses(
        view, Poses(keypoints, poses.scores), skeleton, min_pose=MIN_POSE, min_keypoint=MIN_KEYPOINT
    )
    _, encoded = cv2.imencode(".jpg", drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes()
