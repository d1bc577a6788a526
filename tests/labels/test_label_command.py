"""`nas data label` as it is typed: real exported networks, and what users get wrong."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from dot_model import dotted_image, write_dot_model

import nas.cli.data_label
from nas.cli.main import run

Printed = dict[str, Any]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from nas.demo.people import generate

    folder = tmp_path_factory.mktemp("people")
    generate(folder, images=4, seed=3)
    return folder


def export(folder: Path, space: str, head: str) -> Path:
    """The smallest network of a space, which has learned nothing, as an ONNX file."""
    import torch

    from nas.graph import export_onnx
    from nas.models import PoseNet, calibrate, transfer
    from nas.space import ArchManager, SearchSpace

    arch = ArchManager(SearchSpace.load(space)).smallest(head=head)
    torch.manual_seed(0)
    net = PoseNet(arch, "coco17")
    for name, weights in net.named_parameters():
        if ".maps." in name:  # a centre that is hardly seen is nobody's
            weights.data *= 500
    path = folder / f"{head}.onnx"
    export_onnx(transfer(net, arch, calibrate(net, arch, torch.randn(4, 3, *arch.resolution))), path)
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For crops."""
    return export(tmp_path_factory.mktemp("network"), "demo", "heatmap")


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For whole images."""
    return export(tmp_path_factory.mktemp("finder"), "movenet", "center")


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dot_model(tmp_path_factory.mktemp("dots") / "dots.onnx", (64, 48))


def label(source: object, model: object, output: Path, *options: object) -> int:
    words = ["data", "label", source, "--model", model, "--out", output, *options]
    return run([str(word) for word in words])


ALL = ("--min-score", 0, "--min-keypoint", 0)


def test_labels_of_a_network_are_what_it_finds(
    network: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scored on its own labels a network is perfect, and `nas data check` finds nothing wrong with them."""
    output = tmp_path / "labels.json"
    assert label(people / "annotations" / "people.json", network, output, *ALL, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    given = json.loads((people / "annotations" / "people.json").read_text())
    content = json.loads(output.read_text())
    assert report["people"]["people"] == len(content["annotations"]) == len(given["annotations"])
    assert [row["bbox"] for row in content["annotations"]] == [
        pytest.approx(row["bbox"], abs=1e-3) for row in given["annotations"]
    ]
    command = ["--data", str(output), "--images", str(people / "images"), "--json"]
    assert run(["validate", str(network), *command]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["AP"] == pytest.approx(1.0)
    assert scores["PCK_torso@0.1"] in (pytest.approx(1.0), -1.0)
    assert (
        run(["data", "check", str(output), "--images", str(people / "images"), "--skeleton", "coco17"]) == 0
    )


def test_several_views_of_a_real_network(network: Path, people: Path, tmp_path: Path) -> None:
    """Far from agreeing where nothing was learned, they give no more joints than one view."""
    one, several = tmp_path / "one.json", tmp_path / "several.json"
    source = people / "annotations" / "people.json"
    assert label(source, network, one, *ALL) == 0
    turned = ("--rotation", -20, "--rotation", 0, "--rotation", 20, "--flip", "--agreement", 1)
    assert label(source, network, several, *ALL, *turned) == 0
    counts = []
    for file in (one, several):
        (entry,) = json.loads(file.read_text())["info"]["labelled_by"]
        counts.append(sum(joint["labelled"] for joint in entry["joints"].values()))
    assert 0 < counts[1] < len(entry["joints"]) * entry["people"]["people"]
    assert entry["settings"]["views"] == {"rotations": [-20, 0, 20], "flip": True, "agreement": 1}


def test_people_are_found_in_whole_images(finder: Path, people: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.json"
    assert label(people / "images", finder, output, *ALL) == 0
    content = json.loads(output.read_text())
    assert {row["image_id"] for row in content["annotations"]} == {image["id"] for image in content["images"]}


def test_a_network_for_crops_is_shown_whom_another_finds(
    network: Path, finder: Path, people: Path, tmp_path: Path
) -> None:
    output = tmp_path / "labels.json"
    found = ("--detector", finder, "--min-box", 0)
    assert label(people / "images", network, output, *ALL, *found) == 0
    (entry,) = json.loads(output.read_text())["info"]["labelled_by"]
    assert (entry["model"]["file"], entry["detector"]["file"]) == (network.name, finder.name)


def dotted(folder: Path, name: str, places: Any) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), dotted_image((120, 160), np.array(places))[..., ::-1])


def boxes_file(folder: Path, boxes: dict[str, list[float]]) -> Path:
    images = [{"id": number, "file_name": name} for number, name in enumerate(boxes)]
    rows = [{"id": number, "image_id": number, "bbox": box} for number, box in enumerate(boxes.values())]
    path = folder / "boxes.json"
    path.write_text(json.dumps({"images": images, "annotations": rows}))
    return path


def test_a_folder_with_boxes_and_a_name_in_brackets(
    dots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Joints lie on their dots; names, also in brackets, come out as they went in."""
    monkeypatch.chdir(tmp_path)
    places = {"[b]1.png": [[60, 30], [80, 60], [70, 90]], "below/2.png": [[30, 40], [50, 50], [40, 80]]}
    for name, dots_ in places.items():
        dotted(tmp_path / "[v2]", name, dots_)
    boxes = boxes_file(tmp_path, {"[b]1.png": [50, 20, 45, 80], "below/2.png": [20, 30, 45, 60]})
    assert label("[v2]", dots, Path("[out].json"), "--boxes", boxes) == 0
    shown = capsys.readouterr().out
    assert "[out].json: 2 images, 2 people, 2 of them with labelled joints" in shown
    content = json.loads(Path("[out].json").read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    assert set(names.values()) == set(places)
    for row in content["annotations"]:
        found = np.reshape(row["keypoints"], (3, 3))
        np.testing.assert_allclose(found[:, :2], places[names[row["image_id"]]], atol=1.5)
        assert (found[:, 2] == 2).all()


def test_a_merge_is_printed_as_a_table(
    dots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dotted(tmp_path / "images", "1.png", [[60, 30], [80, 60], [70, 90]])
    person = {
        "id": 1, "image_id": 1, "category_id": 1, "bbox": [50, 20, 45, 80], "area": 3600, "iscrowd": 0,
        "keypoints": [60, 30, 2, 0, 0, 0, 70, 40, 2], "num_keypoints": 2,
    }  # fmt: skip
    image = {"id": 1, "file_name": "1.png", "height": 120, "width": 160}
    category = {"id": 1, "name": "person", "keypoints": ["red", "green", "blue"]}
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"images": [image], "annotations": [person], "categories": [category]}))
    output = tmp_path / "out.json"
    assert label(given, dots, output, "--merge", "--same", 0.5, "--min-keypoint", 0.1) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["joint", "given", "confirmed", "dropped", "filled", "labelled"] in rows
    for row in (["red", 1, 1, 0, 0, 1], ["green", 0, 0, 0, 1, 1], ["blue", 1, 0, 1, 0, 0]):
        assert [str(cell) for cell in row] in rows
    (merged,) = json.loads(output.read_text())["annotations"]
    assert (merged["keypoints"][:3], merged["keypoints"][6:]) == ([60, 30, 2], [0, 0, 0])


def test_ctrl_c_says_how_far_it_was(
    dots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(title: str) -> Any:
        def update(done: int, total: int) -> None:
            if done == 2:
                raise KeyboardInterrupt

        return update

    for number in range(3):
        dotted(tmp_path / "in", f"{number}.png", [[60, 30], [80, 60], [70 + number, 90]])
    boxes = boxes_file(tmp_path, {f"{number}.png": [50, 20, 45, 80] for number in range(3)})
    with monkeypatch.context() as patched:
        patched.setattr(nas.cli.data_label, "progress_lines", interrupted)
        assert label(tmp_path / "in", dots, tmp_path / "out.json", "--boxes", boxes) == 130
    assert "2 of 3 images are labelled; the same command goes on" in capsys.readouterr().err
    assert label(tmp_path / "in", dots, tmp_path / "out.json", "--boxes", boxes) == 0
    assert len(json.loads((tmp_path / "out.json").read_text())["images"]) == 3


def test_what_cannot_be_read_is_named_and_the_others_are_labelled(
    dots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dotted(tmp_path / "in", "1.png", [[60, 30], [80, 60], [70, 90]])
    (tmp_path / "in" / "2.png").write_bytes(b"no picture")
    boxes = boxes_file(tmp_path, {"1.png": [50, 20, 45, 80], "2.png": [50, 20, 45, 80]})
    assert label(tmp_path / "in", dots, tmp_path / "out.json", "--boxes", boxes) == 1
    said = capsys.readouterr().err.splitlines()
    assert sum(str(tmp_path / "in" / "2.png") in line for line in said) == 1
    assert said[-1] == "1 of 2 images could not be read"


BOXED = ("--boxes", "boxes.json")
WRONG = {
    "a source that is not there": ("absent", (), "absent: there is no such folder or COCO file"),
    "a folder without images": ("empty", BOXED, "empty: no images in"),
    "a broken image": ("broken", BOXED, "broken/1.png"),
    "no boxes": ("in", (), "give their --boxes"),
    "boxes of nothing here": ("in", ("--boxes", "other.json"), "other.json: lists none"),
    "detections of a folder": ("in", ("--boxes", "list.json"), "list.json: detections name images"),
    "a detector for crops": ("in", ("--detector", "dots.onnx"), "--detector: this network is for"),
    "a merge with a folder": ("in", ("--merge",), "in: a folder; --images and --merge are for"),
    "what a merge is told, without one": ("in", ("--sure", "0.5"), "--sure is for --merge"),
    "a merge with boxes alone": ("boxes.json", ("--merge",), "boxes.json: "),
    "images that are not there": ("set.json", ("--images", "absent"), "absent: the image folder"),
    "words for a set": ("words.onnx", (), "words.onnx: broken JSON"),
    "the same view twice": ("in", ("--rotation", "0", "--rotation", "360"), "--rotation: give one"),
    "a score that is none": ("in", ("--min-score", "nan"), "--min-score"),
    "a name that is no JSON": ("in", ("--out", "out.png"), "--out is the name of a .json file"),
    "a file that is there": ("in", ("--out", "set.json"), "set.json: exists already"),
    "a model that is not there": ("in", ("--model", "absent.onnx"), "absent.onnx: no such model"),
    "words for a model": ("in", ("--model", "words.onnx"), "words.onnx: onnxruntime cannot load"),
    "a model of no poses": ("in", ("--model", "plain.onnx"), "plain.onnx: this ONNX file was not"),
    "weights": ("in", ("--model", "w.safetensors"), "w.safetensors: these are weights"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_one_line(
    case: str,
    dots: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    dotted(tmp_path / "in", "1.png", [[60, 30], [80, 60], [70, 90]])
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.png").write_bytes(b"no picture")
    (tmp_path / "dots.onnx").write_bytes(dots.read_bytes())
    write_dot_model(tmp_path / "plain.onnx", (64, 48), metadata="")
    assert onnx.load(tmp_path / "plain.onnx").graph.node
    for name in ("words.onnx", "w.safetensors"):
        (tmp_path / name).write_text("hello, world\n")
    boxes_file(tmp_path, {"1.png": [50, 20, 45, 80]}).rename(tmp_path / "saved")
    boxes_file(tmp_path, {"other.png": [50, 20, 45, 80]}).rename(tmp_path / "other.json")
    (tmp_path / "saved").rename(tmp_path / "boxes.json")
    (tmp_path / "set.json").write_text(
        '{"images": [{"id": 1, "file_name": "1.png", "height": 9, "width": 9}]}'
    )
    (tmp_path / "list.json").write_text('[{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    source, options, says = WRONG[case]
    assert label(source, "dots.onnx", Path("out.json"), *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert says in line
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
