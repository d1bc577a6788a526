"""What `nas predict` says of what it did."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nas.cli.console import print_json, print_table, remark, say
from nas.errors import UserError

if TYPE_CHECKING:
    from nas.runtime.prediction import Prediction
    from nas.runtime.sources import Failure
    from nas.runtime.stages import StagePercentiles

SOME_FAILED = 1
_MOST_NAMED = 20


@dataclass
class VideoOutcome:
    """What became of a video.

    Args:
        name: of the video.
        drawing: the file that shows it; None where nothing is drawn.
        frames: that were looked at.
        broken: that could not be read.
        passed_over: of a camera or stream, which came faster than they could be looked at.
        most: people in a frame, at most.
        ids: of the people who were tracked.
        seconds: that it took.
    """

    name: str
    drawing: Path | None
    frames: int = 0
    broken: int = 0
    passed_over: int = 0
    most: int = 0
    ids: set[int] = field(default_factory=set)
    seconds: float = 0.0

    @property
    def people(self) -> int:
        """Who were tracked; else as many as were in a frame at most."""
        return len(self.ids) or self.most

    @property
    def rate(self) -> float | None:
        """Frames per second; None of nothing."""
        return self.frames / self.seconds if self.seconds and self.frames else None

    def add(self, prediction: "Prediction") -> None:
        """Count a frame."""
        self.frames += 1
        self.most = max(self.most, len(prediction.people))
        self.ids.update(number for number in prediction.people.ids.tolist() if number)


@dataclass
class Outcome:
    """What became of everything.

    Args:
        keypoints: their names.
        folder: of the drawings; None where nothing is drawn.
        stages: what each stage took.
        asked: how many pictures there are.
        pictures: what was found in pictures.
        videos: what became of videos.
        failures: what nothing became of.
        full: why the work ended early, if the disk was full.
    """

    keypoints: Sequence[str]
    folder: Path | None
    stages: "StagePercentiles"
    asked: int = 0
    pictures: "list[Prediction]" = field(default_factory=list)
    videos: list[VideoOutcome] = field(default_factory=list)
    failures: "list[Failure]" = field(default_factory=list)
    full: str | None = None

    def done(self) -> str:
        """How far the work came."""
        parts = [f"{video.frames:,} frames of {video.name}" for video in self.videos]
        if self.asked:
            parts.insert(0, f"{len(self.pictures)} of {self.asked} images")
        return f"{', '.join(parts) or 'nothing'} are {f'drawn in {self.folder}' if self.folder else 'done'}"

    def fail(self, video: VideoOutcome, error: UserError) -> None:
        """Something went wrong with a video; what was done by then stays."""
        from nas.runtime.sources import Failure
        from nas.runtime.video import UnreadableVideoError

        reason = error.reason if isinstance(error, UnreadableVideoError) else str(error)
        self.failures.append(Failure(video.name, reason))
        if not video.frames and video in self.videos:
            self.videos.remove(video)

    def to_json(self) -> dict[str, Any]:
        """Everything but what the frames of videos show, of which there may be many."""
        return {
            "keypoints": list(self.keypoints),
            "images": [_image(prediction) for prediction in self.pictures],
            "videos": [
                {
                    "video": video.name,
                    "drawing": None if video.drawing is None else str(video.drawing),
                    "frames": video.frames,
                    "broken": video.broken,
                    "passed_over": video.passed_over,
                    "people": video.people,
                    "frames_per_second": video.rate,
                }
                for video in self.videos
            ],
            "failed": [{"image": str(failure.path), "reason": failure.reason} for failure in self.failures],
            "ms": self.stages.table(),
        }


def print_outcome(outcome: Outcome) -> None:
    """Print what was found, where it is drawn, and what it took."""
    if outcome.pictures:
        rows = (
            (found.source, len(found.people), *([] if found.drawing is None else [str(found.drawing)]))
            for found in outcome.pictures
        )
        print_table(None, ("image", "people", "drawing")[: 2 + (outcome.folder is not None)], rows)
    for video in outcome.videos:
        rate = "" if video.rate is None else f", {video.rate:.1f} frames/s"
        counts = {"broken": video.broken, "passed over": video.passed_over}
        lost = "".join(f", {count:,} {word}" for word, count in counts.items() if count)
        drawn = f": {video.drawing}" if video.drawing is not None and video.frames else ""
        say(f"{video.name}: {video.frames:,} frames{lost}, {video.people} people{rate}{drawn}")
    stages = outcome.stages.table()
    if stages:
        say()
        columns = list(next(iter(stages.values())))
        rows_of_stages = ((stage, *figures.values()) for stage, figures in stages.items())
        print_table("Milliseconds", ("stage", *columns), rows_of_stages)
    if outcome.pictures:
        people = sum(len(found.people) for found in outcome.pictures)
        failed = f", {len(outcome.failures)} failed" if outcome.failures else ""
        where = f"drawings in {outcome.folder}" if outcome.folder else "images"
        say(f"{len(outcome.pictures)} {where}: {people} people{failed}")


def print_document(outcome: Outcome) -> None:
    """Print it all as one JSON document."""
    print_json(outcome.to_json())


def end(outcome: Outcome) -> None:
    """Name what failed, and say it by the exit code."""
    failures, full = outcome.failures, outcome.full
    done = len(outcome.pictures) + sum(video.frames > 0 for video in outcome.videos)
    empty = [video for video in outcome.videos if not video.frames]
    if not done and not full and len(failures) == 1 and not empty:
        raise UserError(f"{failures[0].path}: {failures[0].reason}")
    for failure in failures[:_MOST_NAMED]:
        remark(f"{failure.path}: {failure.reason}")
    if len(failures) > _MOST_NAMED:
        remark(f"... and {len(failures) - _MOST_NAMED} more; --json names all")
    for video in empty:
        remark(f"{video.name}: not one frame could be read")
    failed = len(failures) + len(empty)
    if not done:
        raise UserError(full or f"none of the {failed} images could be read and drawn")
    if full:
        remark(f"Error: {full}")
    elif failed:
        remark(f"{failed} of {done + failed} images could not be read and drawn")
    if full or failed:
        raise typer.Exit(SOME_FAILED)


def _image(prediction: "Prediction") -> dict[str, Any]:
    poses = prediction.people.poses
    return {
        "image": prediction.source,
        "drawing": None if prediction.drawing is None else str(prediction.drawing),
        "poses": [
            {"score": float(score), "keypoints": points.tolist(), "box": box.tolist()}
            for points, score, box in zip(poses.keypoints, poses.scores, prediction.people.boxes, strict=True)
        ],
    }
