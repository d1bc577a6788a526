"""Ids, draws, plans, predictions and weights are those of `pinned/`, and files of before still serve."""

import json
import shutil
from pathlib import Path
from typing import Any

import api
import cv2
import facts
import numpy as np
import pytest
import torch

FIXTURE = Path(__file__).with_name("fixtures") / "run"
ONE_UNIT_IN_LAST_PLACE = 1e-13
TAKEN_AWAY = ("project_norm.bias", "expand_norm.running_mean")
"""What the next norm takes away, and its mean: gradients of mere rounding, which Adam makes whole steps."""


def pinned(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((facts.PINNED / f"{name}.json").read_text())
    return content


@pytest.mark.parametrize("name", sorted(facts.FACTS.keys() - {"commands", "latency", "spaces"}))
def test_facts_are_those_pinned(name: str) -> None:
    assert json.loads(json.dumps(facts.FACTS[name]())) == pinned(name)


def test_commands_and_their_flags_are_still_there() -> None:
    """New ones may come beside them."""
    found = api.commands()
    for command, flags in pinned("commands").items():
        assert set(flags) <= set(found[command]), command


@pytest.mark.parametrize("name", api.space_names())
def test_a_space_draws_varies_and_encodes_as_pinned(name: str) -> None:
    assert facts.space(api.Space(name)) == pinned("spaces")[name]


@pytest.mark.parametrize("name", api.space_names())
def test_codes_are_read_back(name: str) -> None:
    space = api.Space(name)
    rng = np.random.default_rng(1)
    for arch in [*space.ends(), *(space.sample(rng) for _ in range(10))]:
        assert space.decode(space.encode(arch)) == arch
        assert api.Arch.from_json(arch.to_json()).id == arch.id


def test_predictions_are_those_pinned_to_the_bit() -> None:
    """On a machine whose numpy rounds exponentials and logarithms in another way, to the last place."""
    found, known = facts.latency(), pinned("latency")
    same_arithmetic = found.pop("arithmetic") == known.pop("arithmetic")
    assert found.keys() == known.keys()
    for name, values in known.items():
        assert found[name]["kernels"] == values["kernels"], name
        for kind in values.keys() - {"kernels"}:
            if same_arithmetic:
                assert found[name][kind] == values[kind], f"{name}: {kind}"
            numbers = [[float.fromhex(text) for text in side[kind]] for side in (found[name], values)]
            np.testing.assert_allclose(*numbers, rtol=ONE_UNIT_IN_LAST_PLACE)


@pytest.mark.parametrize("path", facts.EVERY, ids=lambda path: path.stem)
def test_a_transferred_network_answers_as_its_supernet(path: Path) -> None:
    net = api.supernet(path)
    for arch in facts.transferred(path)[::2]:
        images = api.images(arch)
        stats = api.calibrate(net, arch, images)
        subnet = api.transfer(net, arch, stats)
        with torch.no_grad():
            outputs, expected = subnet(images), net(images, arch, stats)
        assert outputs.keys() == expected.keys()
        assert all(torch.equal(outputs[key], expected[key]) for key in expected)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of before, stopped in the middle of its training, its fine-tuning and its search; its data."""
    root = tmp_path / "there"
    shutil.copytree(FIXTURE, root)
    config = root / "run" / "config.yaml"
    config.write_text(config.read_text().replace("HERE", str(root)))
    (root / "data" / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, 13):
        picture = rng.integers(255, size=(40, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(root / "data" / "images" / f"{number}.png"), picture)
    return root


def same_weights(path: Path, other: Path) -> None:
    """Both files hold the same network, up to what another machine rounds differently."""
    (metadata, tensors), (known_metadata, known) = api.read_weights(path), api.read_weights(other)
    assert metadata == known_metadata
    assert tensors.keys() == known.keys()
    for name, tensor in known.items():
        away = 1e-3 if name.endswith(TAKEN_AWAY) else 1e-5
        torch.testing.assert_close(tensors[name], tensor, rtol=1e-4, atol=away, msg=name)


def test_weights_of_before_are_read_and_transferred_from(folder: Path) -> None:
    run, arch = folder / "run", api.Arch.load(folder / "arch.json")
    supernet = api.load_weights(run / "weights.safetensors")
    subnet = api.load_weights(run / "subnets" / "a-inherited.safetensors")
    assert subnet.arch == arch
    own = dict(subnet.named_parameters())
    inherited = api.active_parameters(supernet, arch)
    assert own.keys() == inherited.keys()
    for name, tensor in inherited.items():
        # Kernels are multiplied with their transforms, which another machine rounds differently.
        torch.testing.assert_close(own[name], tensor, rtol=0, atol=1e-7, msg=name)
    assert api.nas(["transfer", str(run), str(folder / "arch.json"), "--name", "again"]) == 0
    same_weights(run / "subnets" / "again-inherited.safetensors", run / "subnets" / "a-inherited.safetensors")
    assert api.nas(["export", str(run / "subnets" / "a.safetensors"), "--out", str(folder / "a.onnx")]) == 0


def test_a_training_of_before_is_gone_on_with(folder: Path) -> None:
    run = folder / "run"
    known = (run / "weights.safetensors").rename(folder / "known.safetensors")
    kept = [run / "search_split.json", run / "calibration.json", *(run / "inputs").iterdir()]
    content = [path.read_bytes() for path in kept]
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000002"]
    assert api.nas(["train", str(folder / "recipe.yaml"), "--runs", str(folder), "--name", "run"]) == 0
    same_weights(run / "weights.safetensors", known)
    assert [path.read_bytes() for path in kept] == content


def test_a_fine_tuning_of_before_is_gone_on_with(folder: Path) -> None:
    run = folder / "run"
    known = (run / "subnets" / "a.safetensors").rename(folder / "known.safetensors")
    assert api.nas(["finetune", str(run), str(folder / "arch.json"), "--name", "a"]) == 0
    same_weights(run / "subnets" / "a.safetensors", known)


def test_a_search_of_before_is_gone_on_with(folder: Path) -> None:
    run = folder / "run"
    results = run / "search" / "results.json"
    before = json.loads(results.read_text())
    predictor = ["--predictor", str(folder / "made-up-predictor.json"), "--allow-other-device"]
    search = ["search", str(run), "--budget-ms", "1000", "--metric", "AP", *predictor]
    assert api.nas([*search, "--trials", "4"]) == 0
    after = json.loads(results.read_text())
    assert after.keys() == before.keys()
    assert after["study"] == before["study"]
    evaluated = [trial["arch"] for trial in after["evaluated"]]
    assert set(evaluated) > {trial["arch"] for trial in before["evaluated"]}
    assert len(evaluated) == 4
