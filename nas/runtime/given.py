"""What a user means by a source: pictures, folders, patterns, videos, a camera, a stream."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nas.errors import UserError
from nas.pictures import PICTURE_SUFFIXES
from nas.runtime.sources import Picture, drawing_files
from nas.runtime.video import VIDEO_SUFFIXES, VideoSource


@dataclass(frozen=True)
class GivenSources:
    """What is to be looked at.

    Args:
        pictures: picture files, and folders of them.
        videos: in the order given.
    """

    pictures: Sequence[Path]
    videos: Sequence[VideoSource]


def sort_sources(given: Sequence[str]) -> GivenSources:
    """Tell sources apart.

    A number is a camera, what has `://` a stream, a file of a video's suffix a video, a pattern (`*`, `?`,
    `[`, and `**` for all folders below) stands for the pictures and videos that it fits. What is there by
    that very name is always meant itself.

    Raises:
        UserError: a pattern fits nothing.
    """
    pictures: list[Path] = []
    videos: list[VideoSource] = []
    for text in given:
        path = Path(text)
        if not path.exists() and text.isdecimal():
            videos.append(VideoSource(int(text), "camera"))
        elif "://" in text:
            videos.append(VideoSource(text, "stream"))
        else:
            matches = [path] if path.exists() or not glob.has_magic(text) else _matches(text)
            for match in matches:
                if match.suffix.lower() in VIDEO_SUFFIXES and not match.is_dir():
                    videos.append(VideoSource(str(match), "file"))
                else:
                    pictures.append(match)
    return GivenSources(pictures, list(dict.fromkeys(videos)))


def video_drawings(videos: Sequence[VideoSource], folder: Path, moment: datetime) -> dict[VideoSource, Path]:
    """Where the drawing of each video goes: `folder/NAME.mp4`, whole names with their suffix kept.

    What comes from a camera or stream cannot be taken again: its name has the time, and replaces nothing.

    Raises:
        UserError: as `drawing_files`.
    """
    files = {
        video: Picture(Path(str(video.address)), Path(Path(str(video.address)).name))
        for video in videos
        if not video.live
    }
    drawn = drawing_files(list(files.values()), folder, suffix=".mp4", noun="video")
    stamp = f"{moment:%Y%m%d-%H%M%S}"
    live = [video for video in videos if video.live]
    recorded = {
        video: folder / f"{video.kind}{video.address if video.kind == 'camera' else number}-{stamp}.mp4"
        for number, video in enumerate(live)
    }
    return {video: recorded[video] if video.live else drawn[files[video]] for video in videos}


def _matches(pattern: str) -> list[Path]:
    """The pictures and videos that a pattern fits, in the order of their names."""
    known = PICTURE_SUFFIXES | VIDEO_SUFFIXES
    found = sorted(
        path
        for path in map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207 - from any folder
        if path.suffix.lower() in known and not path.is_dir()
    )
    if not found:
        raise UserError(f"{pattern}: fits no picture and no video")
    return found
