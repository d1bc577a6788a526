"""Every form of a network finds the same, as `benchmarks/parity.py` counts it on many photographs."""

import json
from pathlib import Path

import numpy as np
import parity
import pytest
import torch
from head_samples import small_arch

from nas.codecs import Poses
from nas.demo.people import generate
from nas.evaluate.inputs import Input
from nas.models import PoseNet, calibrate, save_weights, transfer


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    generate(folder, images=5, seed=1)
    return folder


@pytest.mark.parametrize("head", ["heatmap", "simcc", "dense"])
def test_forms_agree(head: str, people: Path, tmp_path: Path) -> None:
    arch = small_arch(head)
    torch.manual_seed(0)
    net = PoseNet(arch, "coco17")
    path = tmp_path / "net.safetensors"
    save_weights(path, transfer(net, arch, calibrate(net, arch, torch.randn(4, 3, *arch.resolution))))
    out = tmp_path / "parity.json"
    command = [
        str(path),
        "--data",
        str(people / "annotations/people.json"),
        "--images",
        str(people / "images"),
    ]
    threads = torch.get_num_threads()
    try:
        result = parity.main([*command, "--count", "4", "--out", str(out)])
    finally:
        torch.set_num_threads(threads)
    assert json.loads(out.read_text()) == json.loads(json.dumps(result))
    network = result["networks"]["net"]
    assert network["images"] == 4
    assert list(network["forms"]) == ["torch", *parity.FORMS]
    for name, row in network["forms"].items():
        assert row["AP"] == pytest.approx(network["forms"]["torch"]["AP"], abs=1e-6)
        if name != "torch":
            assert row["keypoints"] >= 4 * 17
            assert row["near"] + len(row["ties"]) == row["keypoints"]
            assert (row["others"], row["missing"]) == ([], 0)


def test_ties_are_told_from_what_differs() -> None:
    class Set:
        class skeleton:  # noqa: N801
            keypoints = ("nose", "tail", "paw")

        class one:  # noqa: N801
            file = "cat.jpg"

        images = (one,)

    expected = np.array([[[5, 5, 0.5], [9, 9, 0.4], [1, 1, 0.3]]], float)
    found = expected + np.array([[[0.005, 0, 0], [3, 4, 0.0005], [0, 0.02, 0.2]]])
    differences = parity.Differences()
    item = Input(np.zeros((1, 1, 3), np.uint8), np.eye(2, 3), 0)
    scores = np.ones(1)
    differences.note(Poses(expected, scores), Poses(found, scores), item, Set)  # type: ignore[arg-type]
    assert (differences.keypoints, differences.near, differences.largest) == (3, 1, pytest.approx(0.005))
    assert [(row["joint"], row["px"]) for row in differences.ties] == [("tail", 5.0)]
    assert [(row["image"], row["joint"]) for row in differences.others] == [("cat.jpg", "paw")]
    differences.note(Poses(expected, scores), Poses(found[:0], scores[:0]), item, Set)  # type: ignore[arg-type]
    assert (differences.missing, differences.to_json()["share"]) == (1, 1 / 6)
