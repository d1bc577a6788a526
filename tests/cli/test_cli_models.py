"""`nas export`, `nas validate`, `nas predict` on a small network that has learned nothing."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from nas.cli.main import run


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from nas.demo.people import generate

    folder = tmp_path_factory.mktemp("people")
    generate(folder, images=4, seed=3)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from nas.models import PoseNet, calibrate, save_weights, transfer
    from nas.space import ArchManager, SearchSpace

    space = SearchSpace.load("demo")
    arch = ArchManager(space).smallest(head="heatmap")
    torch.manual_seed(0)
    net = PoseNet(space, "coco17")
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    save_weights(path, transfer(net, arch, calibrate(net, arch, torch.randn(4, 3, *arch.resolution))))
    save_weights(path.with_name("supernet.safetensors"), net)
    assert run(["export", str(path), "--json"]) == 0
    return path


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def data_options(people: Path) -> list[str]:
    return ["--data", str(people / "annotations/people.json"), "--images", str(people / "images")]


def test_weights_and_export_score_the_same(
    weights: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = []
    for model in (weights, weights.with_suffix(".onnx")):
        results = tmp_path / f"{model.suffix}.json"
        command = ["validate", str(model), *data_options(people), "--results", str(results), "--json"]
        assert run(command) == 0
        figures.append(printed(capsys))
        assert len(json.loads(results.read_text())) == figures[-1]["people"]
    one, two = (
        {name: value for name, value in figure.items() if name not in ("model", "data")} for figure in figures
    )
    assert one == pytest.approx(two, abs=1e-6)
    assert one["flip"] is False
    assert {"AP", "AP50", "AR_large", "PCK_torso@0.2"} <= set(one)


def test_the_flip_test_is_named(weights: Path, people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(weights), *data_options(people), "--flip"]) == 0
    shown = capsys.readouterr().out
    assert "with flip test" in shown
    assert "true box" in shown
    assert run(["validate", str(weights.with_suffix(".onnx")), *data_options(people), "--flip"]) == 2


def test_data_of_another_skeleton_are_refused_unless_accepted(
    weights: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((people / "annotations/people.json").read_text())
    content["categories"][0]["keypoints"][0] = "forehead"
    file = tmp_path / "other.json"
    file.write_text(json.dumps(content))
    command = ["validate", str(weights), "--data", str(file), "--images", str(people / "images"), "--json"]
    assert run(command) == 2
    said = capsys.readouterr().err
    assert "missing nose" in said
    assert "further forehead" in said
    assert run([*command, "--other-joints"]) == 0
    assert "PCK_torso@0.2/nose" not in printed(capsys)


def test_only_the_joints_of_the_category_that_is_meant_count(
    weights: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((people / "annotations/people.json").read_text())
    joints = content["categories"][0]["keypoints"]
    file = tmp_path / "hand.json"
    command = ["validate", str(weights), "--data", str(file), "--images", str(people / "images"), "--json"]
    hand = {"id": 2, "name": "hand", "keypoints": ["wrist", "thumb"]}
    file.write_text(json.dumps(content | {"categories": [*content["categories"], hand]}))
    assert run(command) == 0
    ape = {"id": 2, "name": "ape", "keypoints": joints}
    content["categories"][0]["name"] = "monk"
    content["annotations"][0]["category_id"] = 2
    file.write_text(json.dumps(content | {"categories": [*content["categories"], ape]}))
    assert run(command) == 2
    assert "(monk, ape)" in capsys.readouterr().err
    assert run([*command, "--category", "all"]) == 0
    everyone = printed(capsys)["people"]
    assert run([*command, "--category", "ape"]) == 0
    assert (printed(capsys)["people"], everyone) == (1, len(content["annotations"]))


@pytest.mark.parametrize("command", ["validate", "export"])
def test_a_supernet_is_no_network_to_run(
    command: str, weights: Path, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = data_options(people) if command == "validate" else []
    assert run([command, str(weights.with_name("supernet.safetensors")), *options]) == 2
    assert "nas transfer" in capsys.readouterr().err


def test_predict_draws_and_prints_the_people_in_given_boxes(
    weights: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = json.loads((people / "annotations/people.json").read_text())
    command = ["predict", str(weights.with_suffix(".onnx")), str(people / "images"), "--out", str(tmp_path)]
    boxes = ["--boxes", str(people / "annotations/people.json")]
    assert run([*command, *boxes, "--min-score", "0", "--min-keypoint", "0", "--json"]) == 0
    document = printed(capsys)
    assert len(document["keypoints"]) == 17  # type: ignore[arg-type]
    counts = [len(entry["poses"]) for entry in document["images"]]  # type: ignore[attr-defined]
    expected = [
        sum(a["image_id"] == image["id"] for a in annotations["annotations"])
        for image in annotations["images"]
    ]
    assert counts == expected
    drawn, original = (
        cv2.imread(str(folder / name))
        for folder, name in ((tmp_path, "000000.jpg.png"), (people / "images", "000000.jpg"))
    )
    assert drawn.shape == original.shape
    assert np.abs(drawn.astype(int) - original).max() > 50


def test_predict_without_boxes_takes_the_image_for_one_person(
    weights: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = people / "images" / "000001.jpg"
    command = ["predict", str(weights.with_suffix(".onnx")), str(image), "--out", str(tmp_path)]
    assert run([*command, "--min-score", "0", "--json"]) == 0
    (entry,) = printed(capsys)["images"]  # type: ignore[misc]
    assert len(entry["poses"]) == 1


def test_predict_names_a_folder_without_images(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", str(weights.with_suffix(".onnx")), str(tmp_path)]) == 2
    assert "no images in this folder" in capsys.readouterr().err


def test_int8_export_is_smaller_and_scores_much_the_same(
    weights: Path, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    command = ["export", str(weights), "--int8", *data_options(people), "--samples", "3", "--similarity", "0"]
    assert run([*command, "--even-if-slower", "--json"]) == 0
    exported = printed(capsys)
    path = weights.with_suffix(".int8.onnx")
    assert exported["onnx"] == str(path)
    assert exported["bytes"] == path.stat().st_size
    assert exported["bytes"] < 0.7 * exported["fp32_bytes"]  # type: ignore[operator]
    assert exported["fp32_bytes"] == weights.with_suffix(".onnx").stat().st_size
    assert (exported["images"], exported["missing_poses"]) == (3, 0)
    assert 0 < exported["mean_shift_px"] < 20  # type: ignore[operator]
    assert (exported["fp32_layers"], exported["accuracy_on_calibration_images"]) == ([], False)
    assert exported["ms"].keys() == exported["accuracy"].keys() == {"fp32", "int8"}  # type: ignore[attr-defined]
    assert "PCK_torso@0.2" in exported["accuracy"]["int8"]  # type: ignore[index]
    assert run(["validate", str(path), *data_options(people), "--json"]) == 0
    assert "PCK_torso@0.2" in printed(capsys)


def test_int8_is_calibrated_on_a_folder_of_pictures_too(
    weights: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    command = ["export", str(weights), "--int8", "--out", str(tmp_path / "net.onnx"), "--even-if-slower"]
    forms = ["--batch", "2", "--uint8-input", "--opset", "18", "--json"]
    assert run([*command, *forms, "--data", str(people / "images")]) == 0
    exported = printed(capsys)
    assert (exported["images"], exported["accuracy"]) == (4, None)
    assert exported["similarity"] >= 0.98  # type: ignore[operator]
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]


def test_int8_that_is_slower_is_written_when_asked_for(
    weights: Path,
    people: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "nas.evaluate.int8_export._Drafts.milliseconds", lambda drafts: {"fp32": 1.5, "int8": 2.25}
    )
    path = tmp_path / "net.onnx"
    command = ["export", str(weights), "--int8", *data_options(people), "--out", str(path)]
    assert run([*command, "--similarity", "0"]) == 2
    error = capsys.readouterr().err
    assert "not written: in int8 it takes 2.25 ms, in fp32 1.5 ms" in error
    assert "--even-if-slower" in error
    assert not path.exists()
    assert run([*command, "--similarity", "1", "--even-if-slower"]) == 0
    shown = capsys.readouterr().out
    assert path.exists()
    assert "PCK_torso@0.2" in shown
    assert "of the images that calibrated int8: there are no others" in shown
    assert "layers stay in fp32" in shown
    assert "OKS of 1.000" in shown


def test_other_forms_score_the_same(
    weights: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.onnx"
    forms = ["--batch", "dynamic", "--uint8-input", "--opset", "18"]
    capsys.readouterr()
    assert run(["export", str(weights), "--out", str(path), *forms, "--json"]) == 0
    exported = printed(capsys)
    assert (exported["batch"], exported["opset"], exported["input"]) == ("dynamic", 18, "uint8")
    figures = []
    for model in (weights.with_suffix(".onnx"), path):
        assert run(["validate", str(model), *data_options(people), "--json"]) == 0
        figures.append({name: value for name, value in printed(capsys).items() if name != "model"})
    assert figures[0] == pytest.approx(figures[1], abs=1e-6)
    assert run(["latency", "time", str(path), "--visits", "1", "--json"]) == 0
    assert printed(capsys)["networks"][0]["measured_ms"] > 0  # type: ignore[index]
    for wrong, said in (("many", "--batch many: give a number"), ("0", "--batch: a file runs one image")):
        assert run(["export", str(weights), "--out", str(path), "--batch", wrong]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--int8"], "--int8 needs images"),
        (["--int8", "--data", "{people}/annotations/people.json"], "--images"),
        (["--int8", "--data", "{people}/annotations"], "no images in this folder"),
        (
            [
                "--int8",
                "--data",
                "{people}/annotations/people.json",
                "--images",
                "{people}",
                "--category",
                "ape",
            ],
            "no category is called 'ape'; its categories: person",
        ),
        (["--data", "{people}/images"], "give --int8"),
        (["--even-if-slower"], "give --int8"),
        (["--similarity", "0.9"], "give --int8"),
    ],
)
def test_int8_export_says_which_images_it_needs(
    options: list[str], said: str, weights: Path, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [option.format(people=people) for option in options]
    assert run(["export", str(weights), *given]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) <= 2


def test_pictures_with_a_flag_and_a_film(
    weights: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What follows on a picture's end is no fault anywhere; a flag against the size is one everywhere."""
    shutil.copytree(people, tmp_path / "people")
    first, second, *_ = sorted((tmp_path / "people" / "images").iterdir())
    first.write_bytes(first.read_bytes() + bytes(40_000) + b"\xff\xd8\xff")
    model, options = str(weights.with_suffix(".onnx")), data_options(tmp_path / "people")
    check = ["data", "check", str(tmp_path / "people"), "--json"]
    predict = ["predict", model, str(first), "--out", str(tmp_path / "out"), "--json"]
    for command in (["validate", model, *options, "--json"], check, predict):
        assert run(command) == 0
    capsys.readouterr()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0\0\0\0\0"
    jpeg = second.read_bytes()
    second.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    assert run(["validate", model, *options]) == 2
    assert "the orientation `stored`" in capsys.readouterr().err
    assert run(check) == 1
    assert [finding["class"] for finding in printed(capsys)["findings"]] == ["image_turned"]
    for command in (["validate", model, *options, "--json"], check):
        assert run([*command, "--orientation", "stored"]) == 0
