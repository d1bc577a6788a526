"""`nas predict` on videos, cameras and streams: what is drawn, written, counted, kept when it breaks off."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from box_detectors import write_box_detector
from dot_model import dotted_image, write_dot_model

import nas.cli.predict
from nas.cli.main import run
from nas.runtime.video import VideoReader, VideoSource
from nas.runtime.video_writer import VideoWriter

FRAMES = 12
SIZE = (96, 128)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dot_model(tmp_path_factory.mktemp("network") / "dots.onnx", (64, 48))


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_box_detector(tmp_path_factory.mktemp("detector") / "boxes.onnx", "rows")


def picture(number: int) -> np.ndarray:
    """The three dots of a person who goes to the right, BGR [H, W, 3]."""
    dots = np.array([[40, 25], [60, 50], [50, 75]]) + np.array([2 * number, 0])
    return np.ascontiguousarray(dotted_image(SIZE, dots)[..., ::-1])


def film(path: Path) -> Path:
    with VideoWriter(path, rate=10.0) as writer:
        for number in range(FRAMES):
            writer.add(picture(number), number / 10)
    return path


def frames(path: Path) -> list[np.ndarray]:
    with VideoReader.open(VideoSource(str(path), "file")) as reader:
        return [frame.pixels for frame in reader]


Predict = Callable[..., dict[str, Any]]


@pytest.fixture
def predict(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Predict:
    """Runs `nas predict --json`; gives the exit code, its document, and the lines on stderr."""

    def command(*arguments: object) -> dict[str, Any]:
        capsys.readouterr()
        given = ["predict", str(network), *map(str, arguments), "--out", str(tmp_path / "out"), "--json"]
        code = run(given)
        printed = capsys.readouterr()
        document = json.loads(printed.out) if printed.out else {}
        return {"code": code, "said": printed.err.splitlines(), **document}

    return command


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_video_is_drawn_and_its_people_are_written_down(
    predict: Predict, detector: Path, tmp_path: Path
) -> None:
    video, lines, results = film(tmp_path / "a.mp4"), tmp_path / "lines.jsonl", tmp_path / "results.json"
    files = ("--json-lines", lines, "--coco-results", results)
    found = predict(
        video, "--detector", detector, "--every", 4, "--track", "--smooth", "--min-score", 0, *files
    )
    assert (found["code"], found["images"], found["failed"]) == (0, [], [])
    (told,) = found["videos"]
    assert (told["frames"], told["broken"], told["people"]) == (FRAMES, 0, 1)
    assert told["video"] == str(video)
    assert told["frames_per_second"] > 0
    assert told["drawing"] == str(tmp_path / "out" / "a.mp4.mp4")
    drawn = frames(Path(told["drawing"]))
    assert len(drawn) == FRAMES
    assert max(np.abs(own.astype(int) - picture(n)).max() for n, own in enumerate(drawn)) > 100
    written = rows(lines)
    assert [row["frame"] for row in written] == list(range(FRAMES))
    assert [row["image_id"] for row in written] == list(range(1, FRAMES + 1))
    assert [row["detected"] for row in written[:5]] == [True, False, False, False, True]
    assert {person["id"] for row in written for person in row["people"]} == {1}
    assert {"read", "prepare", "network", "decode", "track", "draw", "write"} <= written[1]["ms"].keys()
    assert {row["image_id"] for row in json.loads(results.read_text())} == set(range(1, FRAMES + 1))
    stages = found["ms"]
    assert stages["detect"]["frames"] < stages["network"]["frames"] == FRAMES
    assert 0 < stages["network"]["median"] <= stages["network"]["p90"] <= stages["network"]["p99"]


def test_pictures_and_videos_together(predict: Predict, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), picture(number))
    film(folder / "a.mp4")
    found = predict(folder / "*", "--no-draw")
    assert found["code"] == 0
    assert [Path(entry["image"]).name for entry in found["images"]] == ["0.png", "1.png"]
    assert [entry["drawing"] for entry in found["images"]] == [None, None]
    assert [Path(entry["video"]).name for entry in found["videos"]] == ["a.mp4"]
    assert not (tmp_path / "out").exists()


def test_what_was_seen_before_ctrl_c_stays(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        def __init__(self, title: str) -> None: ...

        def __call__(self, done: int, total: int | None) -> None:
            if done == 5:
                raise KeyboardInterrupt

    monkeypatch.setattr(nas.cli.predict, "progress_lines", Interrupted)
    lines, results = tmp_path / "lines.jsonl", tmp_path / "results.json"
    found = predict(
        film(tmp_path / "a.mp4"), "--json-lines", lines, "--coco-results", results, "--min-score", 0
    )
    assert found["code"] == 130
    assert "5 frames of" in found["said"][0]
    # What the stages took is told as well: Ctrl-C is how a camera ends.
    assert [video["frames"] for video in found["videos"]] == [5]
    assert "network" in found["ms"]
    assert len(frames(tmp_path / "out" / "a.mp4.mp4")) == 5
    assert len(rows(lines)) == 5
    assert len(json.loads(results.read_text())) == 5
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.mp4.mp4"]


def test_a_video_that_cannot_be_read_stops_no_other(predict: Predict, tmp_path: Path) -> None:
    good, bad = film(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    bad.write_text("no video")
    found = predict(bad, good, tmp_path / "c.mp4")
    assert found["code"] == 1
    assert [entry["frames"] for entry in found["videos"]] == [FRAMES]
    assert [entry["image"] for entry in found["failed"]] == [str(bad), str(tmp_path / "c.mp4")]
    assert "2 of 3" in found["said"][-1]
    alone = predict(bad)
    assert alone["code"] == 2
    assert len(alone["said"]) == 1
    assert str(bad) in alone["said"][0]


def test_a_drawing_that_cannot_be_written_stops_no_other_video(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "out" / "a.mp4.mp4").mkdir(parents=True)
    videos = [film(tmp_path / name) for name in ("a.mp4", "b.mp4")]
    found = predict(*videos)
    assert found["code"] == 1
    assert [entry["video"] for entry in found["videos"]] == [str(videos[1])]
    assert [entry["image"] for entry in found["failed"]] == [str(videos[0])]
    assert "cannot be written" in found["failed"][0]["reason"]


class Camera:
    """A camera that is gone after six frames, of which the second is broken."""

    def __init__(self, address: object) -> None:
        self.taken = 0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.taken += 1
        return (True, picture(self.taken)) if self.taken in (1, 3, 4, 5, 6) else (False, None)

    def get(self, property_: int) -> float:
        return {cv2.CAP_PROP_FPS: 5.0}.get(property_, -1.0)

    def release(self) -> None: ...


def test_a_camera(predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = cv2.VideoCapture
    monkeypatch.setattr(
        cv2, "VideoCapture", lambda address: (file if str(address).endswith(".mp4") else Camera)(address)
    )
    monkeypatch.chdir(tmp_path)
    (told,) = predict("0", "--track")["videos"]
    assert (told["video"], told["broken"]) == ("camera 0", 1)
    assert told["frames"] >= 1
    assert told["frames"] + told["passed_over"] == 5
    assert Path(told["drawing"]).name.startswith("camera0-2")
    assert Path(told["drawing"]).is_file()
    (streamed,) = predict("rtsp://me:secret@10.0.0.9/x", "--no-draw")["videos"]
    assert streamed["video"] == "rtsp://10.0.0.9/x"


@pytest.mark.parametrize("by", ["key", "closing it"])
def test_a_window_shows_frames_until_the_user_has_seen_enough(
    by: str, predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[np.ndarray] = []

    def show(title: str, pixels: np.ndarray) -> None:
        shown.append(pixels)

    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "destroyWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", show)
    monkeypatch.setattr(cv2, "waitKey", lambda _: ord("q") if by == "key" and len(shown) == 3 else -1)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: float(by == "key" or len(shown) < 3))
    (told,) = predict(film(tmp_path / "a.mp4"), "--show")["videos"]
    assert told["frames"] == len(shown) == 3
    assert len(frames(Path(told["drawing"]))) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--every", "0"), "--every"),
        (("--boxes", "{video}"), "--boxes"),
        (("--detector", "{video}"), "a.mp4"),
        (("--detector", "{network}"), "dots.onnx: a detector finds people in whole images"),
        (("--detector-pixels", "bgr255"), "--detector-pixels"),
        (("--json-lines", "{new}", "--coco-results", "{new}"), "--json-lines, --coco-results: both are"),
        (("--json-lines", "{video}/x.json"), "cannot be written"),
        (("--coco-results", "{video}/x.json"), "cannot be written"),
        (("--detector", "{video}", "--boxes", "{video}"), "--boxes, --detector"),
        (("--json-lines", "{video}"), "a.mp4: exists already"),
        (("--coco-results", "{video}"), "a.mp4: exists already"),
        (("--show",), "--show needs a display"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    options: tuple[str, ...],
    said: str,
    predict: Predict,
    network: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("nas.runtime.window.sys.platform", "linux")
    video = film(tmp_path / "a.mp4")
    content = video.read_bytes()
    named = {"video": video, "network": network, "new": tmp_path / "new.json"}
    found = predict(video, *(option.format(**named) for option in options))
    assert found["code"] == 2
    (line,) = found["said"]
    assert said in line
    assert video.read_bytes() == content


@pytest.mark.parametrize("options", [("--every", "3"), ("--track",), ("--smooth",), ("--show",)])
def test_options_of_videos_without_one(options: tuple[str, ...], predict: Predict, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture(0))
    found = predict(tmp_path / "a.png", *options)
    assert found["code"] == 2
    assert options[0] in found["said"][0]


def test_the_end_is_told_in_words(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "a.mp4")
    monkeypatch.chdir(tmp_path)
    assert run(["predict", str(network), "a.mp4"]) == 0
    shown = capsys.readouterr().out
    assert f"a.mp4: {FRAMES} frames, 1 people" in shown
    assert "frames/s" in shown
    assert "predictions/a.mp4.mp4" in shown
    for word in ("network", "median", "p90", "p99"):
        assert word in shown
