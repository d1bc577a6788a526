"""`nas predict`: every picture gets its own drawing, no input is written onto, nothing fails in silence."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dot_model import dot_metadata, write_dot_model
from small_disk import small_disk

import nas.cli.predict
from nas.cli.main import run

BROKEN = b"no picture at all"
JOINTS = 3


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dot_model(tmp_path_factory.mktemp("network") / "dots.onnx", (64, 48))


def paint(path: Path, *, seed: int = 0, size: tuple[int, int] = (40, 30)) -> Path:
    """A picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


Predict = Callable[..., dict[str, Any]]


@pytest.fixture
def predict(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Predict:
    """Runs `nas predict --json`; gives the exit code, its document, and the lines on stderr."""

    def command(*arguments: object, out: Path | None = None, model: Path = network) -> dict[str, Any]:
        capsys.readouterr()
        folder = tmp_path / "out" if out is None else out
        code = run(["predict", str(model), *map(str, arguments), "--out", str(folder), "--json"])
        printed = capsys.readouterr()
        document = json.loads(printed.out) if printed.out else {}
        return {"code": code, "said": printed.err.splitlines(), **document}

    return command


def drawings(found: dict[str, Any]) -> dict[str, str]:
    """The drawing of each image."""
    return {entry["image"]: entry["drawing"] for entry in found["images"]}


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_same_stem_gives_two_drawings(predict: Predict, tmp_path: Path) -> None:
    for seed, name in enumerate(("a.jpg", "a.png", "a.PNG", "b.a.png")):
        paint(tmp_path / "in" / name, seed=seed)
    found = predict(tmp_path / "in")
    assert found["code"] == 0
    assert files(tmp_path / "out") == {"a.jpg.png", "a.png.png", "a.PNG.png", "b.a.png.png"}
    shown = [cv2.imread(drawing) for drawing in drawings(found).values()]
    assert len({image.tobytes() for image in shown}) == 4


def test_names_do_not_depend_on_order_or_number(predict: Predict, tmp_path: Path) -> None:
    names = [paint(tmp_path / name, seed=seed) for seed, name in enumerate(("a.jpg", "b.jpg", "a.png"))]
    straight, reverse = drawings(predict(*names)), drawings(predict(*reversed(names)))
    assert straight == reverse
    for name in names:
        assert drawings(predict(name)) == {str(name): straight[str(name)]}
    assert drawings(predict(tmp_path / "a.png", tmp_path / "a.png", names[0])).keys() == {
        str(tmp_path / "a.png"),
        str(names[0]),
    }


def test_folders_below_are_kept(predict: Predict, tmp_path: Path) -> None:
    for seed, name in enumerate(("b/a.jpg", "a.jpg", "b/c/a.jpg", "b/notes.txt", ".hidden/a.jpg")):
        paint(tmp_path / "in" / Path(name).with_suffix(".jpg"), seed=seed)
    (tmp_path / "in" / "b" / "notes.jpg").rename(tmp_path / "in" / "b" / "notes.txt")
    found = predict(tmp_path / "in")
    assert files(tmp_path / "out") == {"a.jpg.png", "b/a.jpg.png", "b/c/a.jpg.png"}
    assert list(drawings(found)) == [
        str(tmp_path / "in" / name) for name in ("a.jpg", "b/a.jpg", "b/c/a.jpg")
    ]
    beside = predict(tmp_path / "in" / "b" / "a.jpg", tmp_path / "in", out=tmp_path / "beside")
    assert files(tmp_path / "beside") == files(tmp_path / "out")
    assert len(beside["images"]) == 3


def test_the_same_name_in_two_given_folders(predict: Predict, tmp_path: Path) -> None:
    for seed, folder in enumerate(("one", "two")):
        paint(tmp_path / folder / "a.jpg", seed=seed)
        paint(tmp_path / folder / f"{folder}.jpg", seed=seed)
    folders = [tmp_path / "one", tmp_path / "two"]
    found = drawings(predict(*folders))
    assert len(set(found.values())) == 4
    assert found == drawings(predict(*reversed(folders)))
    assert {Path(drawing).name for drawing in found.values()} > {"one.jpg.png", "two.jpg.png"}
    with_files = drawings(predict(*(folder / "a.jpg" for folder in folders)))
    assert with_files.items() <= found.items()


def _hard_link(original: Path, at: Path) -> None:
    at.hardlink_to(original)


def _link(original: Path, at: Path) -> None:
    at.symlink_to(original)


def _linked_folder(original: Path, at: Path) -> None:
    at.parent.rmdir()
    at.parent.symlink_to(original.parent)
    original.rename(original.with_name("other.jpg"))
    paint(original.with_name("a.jpg"))
    paint(original.with_name("a.jpg.png"))


@pytest.mark.parametrize("make", [_hard_link, _link, _linked_folder])
def test_an_input_under_another_name_is_not_written_onto(
    make: Callable[[Path, Path], None], predict: Predict, tmp_path: Path
) -> None:
    original = paint(tmp_path / "in" / "a.jpg")
    (tmp_path / "out").mkdir()
    make(original, tmp_path / "out" / "a.jpg.png")
    before = {path: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    found = predict(*sorted((tmp_path / "in").iterdir()))
    assert found["code"] == 2
    assert len(found["said"]) == 1
    assert "choose another folder" in found["said"][0]
    assert {path: path.read_bytes() for path in (tmp_path / "in").iterdir()} == before


def test_drawings_do_not_go_among_the_pictures(predict: Predict, tmp_path: Path) -> None:
    picture = paint(tmp_path / "in" / "a.jpg")
    assert predict(tmp_path / "in", out=tmp_path / "in")["code"] == 2
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert predict(tmp_path / "in", out=tmp_path / "link")["code"] == 2
    assert files(tmp_path / "in") == {"a.jpg"}
    beside = predict(picture, out=tmp_path / "in")
    assert (beside["code"], files(tmp_path / "in")) == (0, {"a.jpg", "a.jpg.png"})
    content = picture.read_bytes()
    again = predict(*sorted((tmp_path / "in").iterdir()), out=tmp_path / "in")
    assert again["code"] == 2
    assert "take the place of the picture" in again["said"][0]
    assert picture.read_bytes() == content


def test_two_names_of_one_place_are_noticed(predict: Predict, tmp_path: Path) -> None:
    """As on a disk where upper and lower case are the same."""
    for seed, name in enumerate(("x/a.jpg", "y/a.jpg")):
        paint(tmp_path / "in" / name, seed=seed)
    (tmp_path / "out" / "x").mkdir(parents=True)
    (tmp_path / "out" / "y").symlink_to("x")
    found = predict(tmp_path / "in")
    assert found["code"] == 1
    assert [entry["image"] for entry in found["images"]] == [str(tmp_path / "in" / "x" / "a.jpg")]
    assert "would take the place of" in found["failed"][0]["reason"]


def test_former_drawings_and_loops_are_not_searched(predict: Predict, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    paint(folder / "sub" / "a.jpg")
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "again").symlink_to(folder / "sub")
    (folder / "itself").symlink_to("itself")
    for _ in range(2):
        found = predict(folder, out=folder / "drawn")
        assert found["code"] == 0
        assert drawings(found) == {str(folder / "sub" / "a.jpg"): str(folder / "drawn/sub/a.jpg.png")}


def test_pictures_among_the_drawings_are_not_passed_over_in_silence(
    predict: Predict, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "in"
    for name in ("a.jpg", "drawn/b.png"):
        paint(folder / name)
    assert len(predict(folder, out=folder / "drawn")["images"]) == 1
    (message,) = caplog.messages
    assert "such as b.png" in message
    (folder / "drawn" / "b.png").unlink()
    caplog.clear()
    assert predict(folder, out=folder / "drawn")["code"] == 0
    assert not caplog.messages


def test_what_fails_is_named_and_the_others_go_on(predict: Predict, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for seed, name in enumerate(("a.jpg", "c.jpg", "e.png")):
        paint(folder / name, seed=seed)
    (folder / "b.jpg").write_bytes(BROKEN)
    (folder / "d.jpg").symlink_to("nothing")
    os.mkfifo(folder / "f.jpg")
    found = predict(folder)
    assert found["code"] == 1
    assert [Path(image).name for image in drawings(found)] == ["a.jpg", "c.jpg", "e.png"]
    assert [Path(entry["image"]).name for entry in found["failed"]] == ["b.jpg", "d.jpg", "f.jpg"]
    assert all(entry["reason"] for entry in found["failed"])
    for name in ("b.jpg", "d.jpg", "f.jpg"):
        assert sum(str(folder / name) in line for line in found["said"]) == 1
    assert "3 of 6" in found["said"][-1]


def test_nothing_done_is_exit_code_2(predict: Predict, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(BROKEN)
    one = predict(tmp_path / "a.jpg")
    assert one["code"] == 2
    assert len(one["said"]) == 1
    assert "a.jpg" in one["said"][0]
    both = predict(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert both["code"] == 2
    assert (both["images"], len(both["failed"]), len(both["said"])) == ([], 2, 3)


def test_a_table_names_the_drawings_as_they_are(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "[v2]" / "[b]a.jpg")
    monkeypatch.chdir(tmp_path)  # long paths would be folded
    assert run(["predict", str(network), "[v2]", "--out", "[old]"]) == 0
    shown = capsys.readouterr().out
    assert "[v2]/[b]a.jpg" in shown
    assert "[old]/[b]a.jpg.png" in shown


def one_line(found: dict[str, Any]) -> str:
    """The only line of a command that did nothing."""
    assert found["code"] == 2
    (line,) = found["said"]
    assert line.startswith("Error: ")
    return str(line)


def test_folders_without_pictures(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    assert "no images in this folder" in one_line(predict(tmp_path / "empty"))
    (tmp_path / "empty" / "sub" / "notes.txt").write_text("notes")
    assert "no images in this folder" in one_line(predict(tmp_path / "empty"))
    assert "no such picture or folder" in one_line(predict(tmp_path / "absent.jpg"))
    assert not (tmp_path / "out").exists()
    found = predict(tmp_path / "empty", paint(tmp_path / "a.jpg"))
    assert found["code"] == 1
    assert [entry["image"] for entry in found["failed"]] == [str(tmp_path / "empty")]


def test_out_that_is_no_folder(predict: Predict, tmp_path: Path) -> None:
    picture, file = paint(tmp_path / "a.jpg"), tmp_path / "file"
    file.write_text("kept")
    assert "is a file; the drawings need a folder" in one_line(predict(picture, out=file))
    assert str(file / "below") in one_line(predict(picture, out=file / "below"))
    assert file.read_text() == "kept"


def test_a_full_disk_ends_the_command_in_one_line(predict: Predict, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", mib=1) as disk:
        pictures = [paint(tmp_path / "in" / f"{n}.jpg", seed=n, size=(400, 400)) for n in range(5)]
        found = predict(tmp_path / "in", out=disk.folder / "out")
        done = len(found["images"])
        assert 0 < done < len(pictures)
        assert found["code"] == 1
        (line,) = found["said"]
        assert "the disk is full" in line
        assert f"{done} of {len(pictures)}" in line
        assert files(disk.folder) == {f"out/{n}.jpg.png" for n in range(done)}
        assert all(cv2.imread(drawing).shape == (400, 400, 3) for drawing in drawings(found).values())
        disk.fill()
        assert "0 of 5" in one_line(predict(tmp_path / "in", out=disk.folder / "out"))


def test_a_disk_that_is_read_only(predict: Predict, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", mib=1) as disk:
        picture = paint(disk.folder / "in" / "a.jpg")
        (disk.folder / "out").mkdir()
        disk.make_read_only()
        for name in ("out", "new"):
            assert str(disk.folder / name) in one_line(predict(picture, out=disk.folder / name))


def test_what_was_drawn_before_ctrl_c_stays(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        def __init__(self, noun: str) -> None: ...

        def __call__(self, done: int, total: int) -> None:
            if done == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(nas.cli.predict, "progress_lines", Interrupted)
    for number in range(4):
        paint(tmp_path / "in" / f"{number}.jpg")
    found = predict(tmp_path / "in")
    assert found["code"] == 130
    assert "2 of 4 images are drawn" in found["said"][0]
    assert files(tmp_path / "out") == {"0.jpg.png", "1.jpg.png"}


@pytest.mark.parametrize(
    "options",
    [
        ("--min-score", "nan"),
        ("--min-score", "-0.1"),
        ("--min-score", "inf"),
        ("--min-keypoint", "nan"),
        ("--min-keypoint", "1.5"),
        ("--threads", "0"),
        ("--threads", "-1"),
        ("--category", "person"),
    ],
)
def test_options_without_a_meaning(options: Sequence[str], predict: Predict, tmp_path: Path) -> None:
    assert options[0] in one_line(predict(paint(tmp_path / "a.jpg"), *options))


def test_scores_that_measure_nothing_are_named(predict: Predict, tmp_path: Path) -> None:
    picture = paint(tmp_path / "a.jpg")
    assert predict(picture)["said"] == []
    model = write_dot_model(
        tmp_path / "sure.onnx", (64, 48), metadata={**dot_metadata((64, 48)), "scored": False}
    )
    (line,) = predict(picture, picture, model=model)["said"]
    assert "does not measure" in line


Boxes = Callable[..., Path]


@pytest.fixture
def annotate(tmp_path: Path) -> Boxes:
    """Writes COCO annotations with a box (or several) of a person for each name."""

    def annotations(boxes: dict[str, list[dict[str, Any]]]) -> Path:
        images = [
            {"id": number, "file_name": name, "width": 30, "height": 40}
            for number, name in enumerate(boxes, start=1)
        ]
        rows = [
            {"image_id": number, "category_id": 1, "bbox": [5, 5, 20, 30], "iscrowd": 0, **row}
            for number, rows in enumerate(boxes.values(), start=1)
            for row in rows
        ]
        path = tmp_path / "boxes.json"
        path.write_text(
            json.dumps(
                {
                    "images": images,
                    "annotations": [{"id": number, **row} for number, row in enumerate(rows, start=1)],
                    "categories": [{"id": 1, "name": "person"}, {"id": 7, "name": "dog"}],
                }
            )
        )
        return path

    return annotations


def people(found: dict[str, Any], folder: Path) -> dict[str, int]:
    """How many poses each image has."""
    return {
        Path(entry["image"]).relative_to(folder).as_posix(): len(entry["poses"]) for entry in found["images"]
    }


def test_boxes_are_matched_by_whole_relative_names(predict: Predict, annotate: Boxes, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("cam1/0001.jpg", "cam2/0001.jpg", "cam3/0001.jpg"):
        paint(folder / name)
    boxes = annotate({"cam1/0001.jpg": [{}], "./cam2/0001.jpg": [{}, {}]})
    given = ("--boxes", boxes, "--min-score", 0)
    found = predict(folder, *given)
    assert people(found, folder) == {"cam1/0001.jpg": 1, "cam2/0001.jpg": 2, "cam3/0001.jpg": 0}
    (line,) = found["said"]
    assert "1 of 3" in line
    assert people(predict(folder / "cam1", *given), folder) == {"cam1/0001.jpg": 1}
    assert people(predict(folder / "cam2" / "0001.jpg", *given), folder) == {"cam2/0001.jpg": 2}
    assert "lists none of the 1 images" in one_line(predict(folder / "cam3", *given))


def test_crowds_other_categories_and_flat_boxes_are_no_people(
    predict: Predict, annotate: Boxes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture = paint(tmp_path / "in" / "a.jpg")
    rows = [{}, {"iscrowd": 1}, {"category_id": 7}, {"bbox": [0, 0, 0, 0]}]
    found = predict(picture, "--boxes", annotate({"a.jpg": rows}), "--min-score", 0)
    assert found["code"] == 0
    assert people(found, tmp_path / "in") == {"a.jpg": 1}
    (message,) = caplog.messages
    assert "extent" in message
    assert "annotation 4" in message


def test_names_that_fit_several_pictures(predict: Predict, annotate: Boxes, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("x/a.jpg", "y/a.jpg", "b.jpg", "x/b.jpg", "x/c.jpg"):
        paint(folder / name)
    boxes = annotate({"a.jpg": [{}], "b.jpg": [{}], "c.jpg": [{}], "x/c.jpg": [{}, {}]})
    found = predict(folder, "--boxes", boxes, "--min-score", 0)
    assert people(found, folder) == {"b.jpg": 1, "x/a.jpg": 0, "x/b.jpg": 0, "x/c.jpg": 2, "y/a.jpg": 0}
    assert sum("a.jpg could be any of 2 images" in line for line in found["said"]) == 1
    assert "3 of 5" in found["said"][-1]
