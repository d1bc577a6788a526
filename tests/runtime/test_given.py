"""What a user means by a source."""

from datetime import datetime
from pathlib import Path

import pytest

from nas.errors import UserError
from nas.runtime.given import sort_sources, video_drawings
from nas.runtime.video import VideoSource

MOMENT = datetime(2026, 1, 2, 3, 4, 5)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_sources_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a.jpg", "a.MP4", "7", "folder.mp4/b.jpg", "in/a.png")
    given = sort_sources(
        ["a.jpg", "0", "in", "a.MP4", "7", "rtsp://10.0.0.9/x", "folder.mp4", "absent.mp4", "absent.jpg", "0"]
    )
    assert given.pictures == [Path(name) for name in ("a.jpg", "in", "7", "folder.mp4", "absent.jpg")]
    assert given.videos == [
        VideoSource(0, "camera"),
        VideoSource("a.MP4", "file"),
        VideoSource("rtsp://10.0.0.9/x", "stream"),
        VideoSource("absent.mp4", "file"),
    ]


def test_patterns_stand_for_pictures_and_videos(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.jpg", "x/b.txt", "x/y/c.jpg", "x/d.mov", "[1].jpg", "x/dir.jpg/e.png")
    given = sort_sources([str(tmp_path / "x" / "*"), str(tmp_path / "[1].jpg")])
    assert given.pictures == [tmp_path / "x" / "a.jpg", tmp_path / "[1].jpg"]
    assert given.videos == [VideoSource(str(tmp_path / "x" / "d.mov"), "file")]
    deep = sort_sources([str(tmp_path / "x" / "**" / "*.jpg")])
    assert deep.pictures == [tmp_path / "x" / "a.jpg", tmp_path / "x" / "y" / "c.jpg"]
    with pytest.raises(UserError, match=r"\*\.gif: fits no picture"):
        sort_sources([str(tmp_path / "*.gif")])


def test_drawings_of_videos_have_names_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.mp4", "y/a.mp4", "y/b.avi")
    videos = [VideoSource(str(tmp_path / name), "file") for name in ("x/a.mp4", "y/a.mp4", "y/b.avi")]
    live = [VideoSource(2, "camera"), VideoSource("http://10.0.0.9/", "stream")]
    drawn = video_drawings([*live, *videos], tmp_path / "out", MOMENT)
    assert list(drawn) == [*live, *videos]
    names = [path.name for path in drawn.values()]
    assert names[0] == "camera2-20260102-030405.mp4"
    assert names[1] == "stream1-20260102-030405.mp4"
    assert names[4] == "b.avi.mp4"
    assert len(set(names)) == 5


def test_a_video_is_not_written_onto(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "a.mp4.mp4")
    videos = [VideoSource(str(tmp_path / name), "file") for name in ("a.mp4", "a.mp4.mp4")]
    with pytest.raises(UserError, match="take the place of the video"):
        video_drawings(videos, tmp_path, MOMENT)
