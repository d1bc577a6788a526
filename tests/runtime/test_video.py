"""Videos are read to their end whatever is broken in them, and written whole whatever ends the work."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from nas.errors import UserError
from nas.files import DiskFullError, sweep
from nas.runtime.stream import USUAL_RATE
from nas.runtime.video import UnreadableVideoError, VideoReader, VideoSource
from nas.runtime.video_writer import VideoWriter

FILE = VideoSource("a.mp4", "file")
CAMERA = VideoSource(0, "camera")


class Capture:
    """A `cv2.VideoCapture` that has these frames, None for broken ones, and says that they are so many."""

    def __init__(self, frames: list[int | None], *, total: float, rate: float = 10.0) -> None:
        self.frames = list(frames)
        self.stated = {cv2.CAP_PROP_FPS: rate, cv2.CAP_PROP_FRAME_COUNT: total}
        self.released = False

    def read(self) -> tuple[bool, np.ndarray | None]:
        shade = self.frames.pop(0) if self.frames else None
        return (False, None) if shade is None else (True, np.full((4, 6, 3), shade, np.uint8))

    def get(self, property_: int) -> float:
        return self.stated[property_]

    def release(self) -> None:
        self.released = True


def test_broken_frames_are_passed_over_and_counted() -> None:
    reader = VideoReader(FILE, Capture([1, None, None, 4, 5], total=5))
    frames = list(reader)
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [1, 4, 5]
    assert [frame.number for frame in frames] == [0, 3, 4]
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.3, 0.4])
    assert (reader.read, reader.broken, reader.total, reader.rate) == (3, 2, 5, 10.0)


@pytest.mark.parametrize(("total", "broken"), [(300, 290), (12, 0), (0, 0), (-1, 0), (float("nan"), 0)])
def test_a_file_that_ends_before_it_should(total: float, broken: int) -> None:
    """Formats that estimate how many frames there are may be off by one or two."""
    reader = VideoReader(FILE, Capture(list(range(1, 11)), total=total))
    assert len(list(reader)) == 10
    assert reader.broken == broken


def test_a_camera_has_a_hiccup_and_then_is_gone() -> None:
    with VideoReader(CAMERA, Capture([1, None, 2, *[None] * 50, 3], total=-1)) as reader:
        numbers = [frame.number for frame in reader]
    assert numbers in ([0, 2], [2])
    assert reader.passed_over == 2 - len(numbers)
    assert (reader.read, reader.broken, reader.total) == (2, 1, None)


@pytest.mark.parametrize("rate", [0.0, float("nan"), 90000.0])
def test_a_rate_that_is_none_is_the_usual_one(rate: float) -> None:
    assert VideoReader(FILE, Capture([], total=0, rate=rate)).rate == USUAL_RATE


def test_a_reader_gives_its_source_back() -> None:
    capture = Capture([1, 2], total=2)
    with VideoReader(FILE, capture) as reader:
        next(iter(reader))
    assert capture.released


def test_passwords_are_not_shown() -> None:
    for address in ("rtsp://me:secret@10.0.0.9/live", "rtsp://me:sec@ret@10.0.0.9/live?pwd=secret#secret"):
        assert VideoSource(address, "stream").name == "rtsp://10.0.0.9/live"
    assert VideoSource("http://10.0.0.9/a@b", "stream").name == "http://10.0.0.9/a@b"
    assert VideoSource("what?.mp4", "file").name == "what?.mp4"


def write(path: Path, shades: list[int], *, rate: float = 10.0) -> Path:
    with VideoWriter(path, rate=rate) as writer:
        for number, shade in enumerate(shades):
            writer.add(np.full((48, 64, 3), shade, np.uint8), number / rate)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    shades = [20, 60, 100, 140, 180]
    path = write(tmp_path / "new" / "a.mp4", shades)
    with VideoReader.open(VideoSource(str(path), "file")) as reader:
        assert (reader.total, reader.rate) == (5, 10.0)
        frames = list(reader)
    assert [round(float(frame.pixels.mean())) for frame in frames] == pytest.approx(shades, abs=4)
    assert frames[0].pixels.shape == (48, 64, 3)
    assert [path.name for path in path.parent.iterdir()] == ["a.mp4"]


def test_a_video_runs_as_fast_as_what_it_shows(tmp_path: Path) -> None:
    """A frame that comes late leaves the one before longer; one that comes too early is left out."""
    path = tmp_path / "a.mp4"
    with VideoWriter(path, rate=10.0) as writer:
        for shade, seconds in ((20, 0.0), (80, 0.1), (140, 0.4), (200, 0.41)):
            writer.add(np.full((48, 64, 3), shade, np.uint8), seconds)
    with VideoReader.open(VideoSource(str(path), "file")) as reader:
        shades = [float(frame.pixels.mean()) for frame in reader]
    assert shades == pytest.approx([20, 80, 140, 140, 140], abs=4)


def test_frames_of_another_size_are_fitted(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, rate=10.0) as writer:
        writer.add(np.full((48, 64, 3), 50, np.uint8), 0.0)
        writer.add(np.full((90, 30, 3), 150, np.uint8), 0.1)
    with VideoReader.open(VideoSource(str(path), "file")) as reader:
        assert [frame.pixels.shape for frame in reader] == [(48, 64, 3)] * 2


def test_what_breaks_off_is_kept_and_nothing_replaces_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [10] * 3)
    former = path.read_bytes()
    with VideoWriter(path, rate=10.0):
        pass
    assert path.read_bytes() == former

    def break_off() -> None:
        with VideoWriter(path, rate=10.0) as writer:
            writer.add(np.full((48, 64, 3), 200, np.uint8), 0.0)
            assert path.read_bytes() == former
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    with VideoReader.open(VideoSource(str(path), "file")) as reader:
        assert len(list(reader)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", rate=10.0)
    writer.add(np.zeros((48, 64, 3), np.uint8), 0.0)
    (draft,) = tmp_path.iterdir()
    assert draft.name.endswith(f"-{os.getpid()}.mp4")
    sweep(tmp_path)
    assert draft.exists(), "its process lives"
    dead = draft.with_name(draft.name.replace(f"-{os.getpid()}.", "-4194999."))
    dead.write_bytes(draft.read_bytes())
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [draft.name]
    writer.close()


def test_what_stands_in_the_way_is_told_before_a_video_is_looked_at(tmp_path: Path) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    (tmp_path / "a.mp4").mkdir()
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "a.mp4", tmp_path / ("x" * 252 + ".mp4"), tmp_path / "file" / "a.mp4"):
        with VideoWriter(path, rate=10.0) as writer, pytest.raises(UserError, match="cannot be written"):
            writer.add(frame, 0.0)
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "file"}


def test_what_the_disk_did_not_take_replaces_nothing(tmp_path: Path) -> None:
    """A file that is cut off, as on a full disk, has no index."""
    path = write(tmp_path / "a.mp4", [10] * 3)
    former = path.read_bytes()
    writer = VideoWriter(path, rate=10.0)
    writer.add(np.full((48, 64, 3), 200, np.uint8), 0.0)
    writer._writer.release()
    (draft,) = (other for other in tmp_path.iterdir() if other != path)
    os.truncate(draft, draft.stat().st_size // 2)
    with pytest.raises(DiskFullError, match="the disk is full"):
        writer.close()
    assert path.read_bytes() == former
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_looks_like_a_protocol_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("concat:a%02d.mp4"), [10] * 3)
    with VideoReader.open(VideoSource("concat:a%02d.mp4", "file")) as reader:
        assert len(list(reader)) == 3


def test_cameras_that_there_are_not() -> None:
    for number in (97, 10**12):
        with pytest.raises(UnreadableVideoError, match=f"camera {number}: it cannot be reached"):
            VideoReader.open(VideoSource(number, "camera"))


def test_files_that_are_no_videos(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    (tmp_path / "empty.avi").write_bytes(b"")
    for path in (text, tmp_path / "empty.avi", tmp_path / "absent.mp4", tmp_path):
        with pytest.raises(UnreadableVideoError, match=str(path)):
            VideoReader.open(VideoSource(str(path), "file"))


def test_a_video_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(40):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with VideoReader.open(VideoSource(str(path), "file")) as reader:
        found = len(list(reader))
        assert 10 <= found < 40
        assert reader.broken == (0 if reader.total is None else max(0, reader.total - found))
