"""Ids, steadiness and accuracy of a stream on a film of people whose poses are known.

    python benchmarks/stream_people.py MODEL.onnx --folder OUT [--every 5] [--noises 4]
    python benchmarks/stream_people.py MODEL.onnx --folder OUT --photographs ANNOTATIONS.json IMAGES

The film is generated, or a camera's way over photographs.
MODEL is a network for crops of 17 joints. Its boxes come from a stand-in for a detector, which sees everybody
of whom enough is in sight, with boxes that are a little off, otherwise in each of some runs. Printed are the
means of these, with detection in every frame and in every k-th: AP, how often each person's id changed, and
in how many of their frames they were found; and, smoothed and not, how much keypoints of who rests tremble,
and how many frames those of who moves lag behind. Further the milliseconds of each stage of a frame of twice
the film's width and height (the median, on one thread). OUT takes the film, as it is and drawn, the figures,
and a contact sheet.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import people_film
import photograph_film
from people_film import RATE, FilmFrame

from nas.arrays import Floats, Pixels
from nas.evaluate import oks, oks_ap
from nas.evenly import evenly
from nas.runtime import (
    ColourFrame,
    FoundBoxes,
    FramePoses,
    OnnxModel,
    PosePipeline,
    PoseStream,
    StageTimes,
    draw_people,
)
from nas.runtime.results import coco_results
from nas.runtime.stages import StagePercentiles
from nas.runtime.video_writer import VideoWriter

_IN_SIGHT = 0.3
_OFF = 0.03
_SAME = 0.5
_RESTS, _MOVES = 0.05, 1.0
"""Pixels by frame: who moves by less rests, who moves by more can lag behind."""

_SETTLED = 15
"""Frames that somebody has to rest or to move for, until it counts."""

_SHEET = 12


class SeeingDetector:
    """Knows who is in the frame that is shown; boxes are off by a share of their size.

    Args:
        noise: seed of how they are off.
        scale: how much larger the frames are than the film's.
    """

    def __init__(self, noise: int, *, scale: int = 1) -> None:
        self.frame: FilmFrame | None = None
        self.asked = 0
        self._rng = np.random.default_rng(noise)
        self._scale = scale

    def __call__(self, frames: Sequence[ColourFrame]) -> list[FoundBoxes]:
        """The people of the frame."""
        assert self.frame is not None
        self.asked += 1
        found = [
            person["bbox"]
            for number, person in self.frame.people.items()
            if self.frame.seen[number] >= _IN_SIGHT
        ]
        boxes = np.array(found, np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        sizes = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        boxes += self._rng.normal(0, _OFF, boxes.shape) * sizes
        return [FoundBoxes(self._scale * boxes, np.full(len(boxes), 0.9))]


def main() -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--noises", type=int, default=4)
    parser.add_argument("--photographs", type=Path, nargs=2, metavar=("ANNOTATIONS", "IMAGES"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    model = OnnxModel(given.model)
    frames = list(
        photograph_film.film(model.skeleton, *given.photographs)
        if given.photographs
        else people_film.film(model.skeleton)
    )
    everybody = {number for frame in frames for number in frame.people}
    figures: dict[str, Any] = {"people": len(everybody), "frames": len(frames), "noises": given.noises}
    for every, smooth in product((1, given.every), (False, True)):
        runs = []
        for noise in range(given.noises):
            detector = SeeingDetector(noise)
            stream = PoseStream(PosePipeline(model, detector), every=every, track=True, smooth=smooth)
            found = [look(stream, detector, frame) for frame in frames]
            runs.append({"detections": detector.asked, **judge(model, frames, found)})
        name = f"every {every}{', smoothed' if smooth else ''}"
        figures[name] = {
            figure: np.mean([run[figure] for run in runs], axis=0).tolist() for figure in runs[0]
        }
    figures["ms"] = stages(model, frames, every=given.every)
    draw(given.folder, model, frames, found)
    (given.folder / "stream_people.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def look(
    stream: PoseStream,
    detector: SeeingDetector,
    frame: FilmFrame,
    *,
    pixels: Pixels | None = None,
    times: StageTimes | None = None,
) -> FramePoses:
    """The people that a stream finds in a frame, or in other pixels of it."""
    detector.frame = frame
    return stream(frame.pixels if pixels is None else pixels, seconds=frame.seconds, times=times)


def stages(model: OnnxModel, frames: Sequence[FilmFrame], *, every: int) -> dict[str, float]:
    """Milliseconds of each stage of a frame of twice the size, the median; people by frame."""
    detector, percentiles, people = SeeingDetector(0, scale=2), StagePercentiles(), 0
    stream = PoseStream(PosePipeline(model, detector), every=every, track=True, smooth=True)
    for frame in frames:
        times, pixels = StageTimes(), np.asarray(cv2.resize(frame.pixels, None, fx=2, fy=2), np.uint8)
        people += len(look(stream, detector, frame, pixels=pixels, times=times))
        percentiles.add(times.ms)
    table = percentiles.table()
    return {**{stage: table[stage]["median"] for stage in table}, "people": people / len(frames)}


def judge(model: OnnxModel, frames: Sequence[FilmFrame], found: Sequence[FramePoses]) -> dict[str, Any]:
    """What the people of all frames are worth."""
    truth: dict[str, Any] = {
        "images": [{"id": number + 1} for number in range(len(frames))],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [],
    }
    detections, rows = [], defaultdict[int, list[tuple[int, int, int]]](list)
    ids: dict[int, int] = {}
    for number, (frame, people) in enumerate(zip(frames, found, strict=True)):
        for person in frame.people.values():
            where = {"id": len(truth["annotations"]) + 1, "image_id": number + 1, "category_id": 1}
            truth["annotations"].append({**person, **where})
        detections += coco_results(people.poses, np.eye(2, 3), image_id=number + 1)
        for person_number, row in whose(model, frame, people, ids).items():
            ids[person_number] = int(people.ids[row])
            rows[person_number].append((number, row, ids[person_number]))
    switches = {
        number: sum(before[2] != after[2] for before, after in pairwise(own)) for number, own in rows.items()
    }
    in_sight: dict[int, int] = defaultdict(int)
    for frame in frames:
        for person_number, share in frame.seen.items():
            in_sight[person_number] += share >= _IN_SIGHT
    tremble, lag = steadiness(frames, found, rows)
    return {
        "AP": oks_ap(truth, detections, model.skeleton)["AP"],
        "id_switches": [switches.get(number, 0) for number in sorted(in_sight)],
        "ids": len({own[2] for each in rows.values() for own in each}),
        "found": [round(len(rows[number]) / max(in_sight[number], 1), 3) for number in sorted(in_sight)],
        "tremble_px": tremble,
        "lag_frames": lag,
    }


def whose(model: OnnxModel, frame: FilmFrame, people: FramePoses, ids: Mapping[int, int]) -> dict[int, int]:
    """The row of each person in sight whose pose was found.

    As CLEAR MOT has it (Bernardin and Stiefelhagen 2008): who had an id keeps it as long as its pose is like
    theirs; the others get what is left, the most alike first.
    """
    if not frame.people or not len(people):
        return {}
    truth = np.stack([_keypoints(person) for person in frame.people.values()])
    areas = np.array([person["area"] for person in frame.people.values()], np.float64)
    similar = oks(people.poses.keypoints, truth, areas=areas, sigmas=model.skeleton.sigmas)
    kept = people.ids[:, None] == [ids.get(number, -1) for number in frame.people]
    ranks = np.where(similar >= _SAME, similar + kept, -1)
    numbers, found = list(frame.people), {}
    while ranks.max() >= 0:
        row, column = np.unravel_index(ranks.argmax(), ranks.shape)
        found[numbers[column]] = int(row)
        ranks[row], ranks[:, column] = -1, -1
    return found


def steadiness(
    frames: Sequence[FilmFrame], found: Sequence[FramePoses], rows: dict[int, list[tuple[int, int, int]]]
) -> tuple[float, float]:
    """Pixels by which who rests trembles from frame to frame, and frames by which who moves lags behind.

    The latter is the multiple of everybody's own step that takes most of the error away (least squares).
    """
    trembles: list[float] = []
    against = of_steps = 0.0
    for number, own in rows.items():
        rests = moves = 0
        for (before, row_before, _), (now, row, _) in pairwise(own):
            if now != before + 1:
                rests = moves = 0
                continue
            truths = [_keypoints(frames[at].people[number]) for at in (before, now)]
            both = (truths[0][:, 2] > 0) & (truths[1][:, 2] > 0)
            steps = (truths[1] - truths[0])[both, :2]
            speed = float(np.median(np.hypot(*steps.T)))
            rests, moves = (rests + 1) * (speed < _RESTS), (moves + 1) * (speed > _MOVES)
            poses = [
                found[at].poses.keypoints[which][both, :2] for at, which in ((before, row_before), (now, row))
            ]
            if rests > _SETTLED:
                trembles.append(float(np.hypot(*(poses[1] - poses[0]).T).mean()))
            if moves > _SETTLED:
                against += float(((truths[1][both, :2] - poses[1]) * steps).sum())
                of_steps += float((steps**2).sum())
    return float(np.mean(trembles)) if trembles else 0.0, against / of_steps if of_steps else 0.0


def draw(folder: Path, model: OnnxModel, frames: Sequence[FilmFrame], found: Sequence[FramePoses]) -> None:
    """Write the film, as it is and drawn, and a contact sheet."""
    chosen = set(evenly(len(frames), _SHEET))
    small = []
    with (
        VideoWriter(folder / "film.mp4", rate=RATE) as plain,
        VideoWriter(folder / "drawn.mp4", rate=RATE) as writer,
    ):
        for number, (frame, people) in enumerate(zip(frames, found, strict=True)):
            shown = ColourFrame(np.ascontiguousarray(frame.pixels[..., ::-1]), bgr=True)
            drawn = draw_people(shown, people, model.skeleton)
            plain.add(shown.pixels, frame.seconds)
            writer.add(drawn, frame.seconds)
            if number in chosen:
                small.append(cv2.resize(drawn, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    sheet = np.concatenate([np.concatenate(small[row : row + 3], 1) for row in range(0, _SHEET, 3)])
    cv2.imwrite(str(folder / "contact_sheet.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])


def _keypoints(person: dict[str, Any]) -> Floats:
    return np.array(person["keypoints"], np.float64).reshape(-1, 3)


if __name__ == "__main__":
    main()
