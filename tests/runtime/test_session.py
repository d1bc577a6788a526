import copy
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dot_model import DOTS, dot_arch, dot_metadata, dotted_image, write_dot_model
from head_samples import small_arch

from nas.errors import UserError
from nas.runtime import OnnxModel
from nas.runtime.session import run_network
from nas.timing import Protocol, time_networks
from nas.timing.networks import file_network

SIZE = (64, 48)
ABOUT = dot_metadata(SIZE)


def test_the_file_says_what_it_is(tmp_path):
    model = OnnxModel(write_dot_model(tmp_path / "dots.onnx", (64, 48)), threads=2)
    assert model.skeleton == DOTS
    assert model.arch == dot_arch((64, 48))
    assert model.resolution == (64, 48)
    assert model.task == "crop"
    assert model.threads == 2
    model.threads = 1
    assert model.threads == 1
    assert model.codec.resolution == (64, 48)


def test_candidates_come_image_by_image(tmp_path):
    model = OnnxModel(write_dot_model(tmp_path / "dots.onnx", (64, 48)))
    dots = np.array([[[5, 6], [20, 30], [40, 60]], [[1, 2], [33, 44], [12, 7]]])
    images = np.stack([dotted_image((64, 48), d) for d in dots])
    found = model.candidates(images)
    assert len(found) == 2
    for candidates, expected in zip(found, dots, strict=True):
        np.testing.assert_array_equal(candidates["keypoints"][0, :, :2], expected)
        assert 0 < candidates["scores"][0] < 1


def test_an_open_batch_axis_takes_all_inputs_at_once(tmp_path, monkeypatch):
    single = OnnxModel(write_dot_model(tmp_path / "dots.onnx", SIZE))
    many = OnnxModel(write_dot_model(tmp_path / "many.onnx", SIZE, batch="n"))
    images = np.random.default_rng(0).integers(0, 255, (5, *SIZE, 3), np.uint8)
    sizes = []

    def watched(session, feed, path):
        sizes.append([len(array) for array in feed.values()])
        return run_network(session, feed, path)

    monkeypatch.setattr("nas.runtime.session.run_network", watched)
    expected = single.candidates(images)
    assert sizes == [[1]] * 5
    sizes.clear()
    found = many.candidates(images)
    assert sizes == [[5]]
    for own, other in zip(found, expected, strict=True):
        for name, array in other.items():
            np.testing.assert_array_equal(own[name], array)
    assert many.candidates(images[:0]) == []


def test_a_file_of_several_images_is_filled_up(tmp_path: Path) -> None:
    single = OnnxModel(write_dot_model(tmp_path / "dots.onnx", SIZE))
    path = write_dot_model(tmp_path / "three.onnx", SIZE, batch=3)
    images = np.random.default_rng(0).integers(0, 255, (5, *SIZE, 3), np.uint8)
    for own, other in zip(OnnxModel(path).candidates(images), single.candidates(images), strict=True):
        for name, array in other.items():
            np.testing.assert_array_equal(own[name], array)
    assert OnnxModel(path).candidates(images[:0]) == []
    network = file_network(path)
    assert network.name == "three.onnx (3 images)"
    assert network.outside.images == 3  # type: ignore[union-attr]
    (timing,) = time_networks([network], protocol=Protocol(visits=1, warmups=1, runs=2, patience=0))
    assert timing.measured_ms > 0


def test_older_files_hold_raw_scores_which_are_scaled(tmp_path):
    """The file says SimCC: of 96 and 128 bins, a sigmoid's half is more than a perfect answer."""
    image = np.full((1, 64, 48, 3), 20, np.uint8)
    former = {name: value for name, value in ABOUT.items() if name != "score_scale"}
    older = OnnxModel(write_dot_model(tmp_path / "older.onnx", SIZE, metadata=former))
    newer = OnnxModel(write_dot_model(tmp_path / "newer.onnx", SIZE))
    (raw,), (scaled,) = newer.candidates(image), older.candidates(image)
    expected = older.codec.confident(raw)
    assert 0.05 < raw["keypoints"][0, 0, 2] < 0.15
    for name, value in expected.items():
        np.testing.assert_allclose(scaled[name], value, err_msg=name)
    anchors = older.codec.anchors
    linear = (raw["keypoints"][0, :, 2] - anchors.none) / (anchors.full - anchors.none)
    np.testing.assert_allclose(scaled["keypoints"][0, :, 2], np.clip(linear, 0.001, 1), rtol=1e-5)


def test_wrong_size_is_a_programmers_error(tmp_path):
    model = OnnxModel(write_dot_model(tmp_path / "dots.onnx", (64, 48)))
    with pytest.raises(ValueError, match="for a network of"):
        model.candidates(np.zeros((1, 48, 64, 3), np.uint8))


def test_users_errors_are_one_line(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"nothing of the kind")
    cases = {
        "no such model file": tmp_path / "absent.onnx",
        "onnxruntime cannot load it": tmp_path / "broken.onnx",
        "not written by `nas export`": write_dot_model(tmp_path / "bare.onnx", (64, 48), metadata=""),
        "its format is 9, not 1": write_dot_model(
            tmp_path / "new.onnx", SIZE, metadata={**ABOUT, "version": 9}
        ),
        "its scores have scale 2, not 1": write_dot_model(
            tmp_path / "own.onnx", SIZE, metadata={**ABOUT, "score_scale": 2}
        ),
    }
    for message, path in cases.items():
        with pytest.raises(UserError, match=message) as caught:
            OnnxModel(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="at least one thread"):
        OnnxModel(cases["its format is 9, not 1"], threads=0)


def test_torch_is_not_imported():
    code = "import sys; from nas.runtime import *; print('torch' in sys.modules, 'onnx' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["False", "False"]


def changed(field: str, value: Any) -> dict[str, Any]:
    """The metadata with another value of one field, such as "arch.head.type"."""
    about: dict[str, Any] = copy.deepcopy(ABOUT)
    *above, last = field.split(".")
    holder = about
    for name in above:
        holder = holder[name]
    holder[last] = value
    return about


FAULTS: dict[str, Any] = {
    "metadata: cannot be read as JSON": "{",
    "metadata: cannot be read as JSON: it is nested too deeply": '{"a":' * 100_000,
    "metadata: cannot be read as JSON: the field 'version' is given twice": '{"version": 1, "version": 1}',
    "metadata: expected a mapping": "[]",
    "metadata: mean.0: expected a finite number": json.dumps(ABOUT).replace('"mean": [', '"mean": [1e999, '),
    "metadata: version: an integer of more than 64 bits": changed("version", 10**30),
    "metadata.version: expected an integer": changed("version", "1"),
    "metadata.arch: expected a mapping": changed("arch", []),
    "metadata.arch: head: unknown head": changed("arch.head.type", "nonsense"),
    "metadata.arch: resolution": changed("arch.resolution", [64, 10**15]),
    "metadata.arch.resolution: does not fit the graph": changed("arch.resolution", [128, 96]),
    "metadata.arch.head: does not fit the graph: its outputs keypoints": {
        **ABOUT,
        "arch": small_arch("associative_embedding", resolution=SIZE).to_json(),
    },
    "metadata.skeleton: expected a mapping": changed("skeleton", None),
    "metadata.skeleton: sigmas": changed("skeleton.sigmas", [0.1]),
    "metadata.skeleton: does not fit the graph: it has 2 keypoints, the outputs are of 3": changed(
        "skeleton",
        {"name": "two", "keypoints": ["red", "blue"], "flip_pairs": [], "sigmas": [0.1, 0.1], "limbs": []},
    ),
    "metadata.mean: expected a list of 3 numbers": changed("mean", [0.5]),
    "metadata.mean: expected numbers up to": changed("mean", [0.5, 0.5, 1e300]),
    "metadata.std: expected a list of 3 numbers from": changed("std", [0.2, 0.0, 0.2]),
    "metadata.std: expected a list of 3 numbers from ": changed("std", [0.2, -0.2, 0.2]),
    "metadata.std: expected a list of 3 numbers": changed("std", "none"),
    "metadata.scored: expected true or false": {**ABOUT, "scored": 1},
    "metadata.score_scale: expected an integer": {**ABOUT, "score_scale": -1},
}


@pytest.mark.parametrize("said", FAULTS)
def test_metadata_that_do_not_fit_are_one_line(said: str, tmp_path: Path) -> None:
    path = write_dot_model(tmp_path / "dots.onnx", SIZE, metadata=FAULTS[said])
    for read in (OnnxModel, file_network):
        with pytest.raises(UserError) as caught:
            read(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: {said}"), message
        assert len(message) < 600


@pytest.mark.parametrize("field", ["version", "arch", "skeleton", "mean", "std"])
def test_metadata_that_lack_a_field(field: str, tmp_path: Path) -> None:
    about = {name: value for name, value in ABOUT.items() if name != field}
    path = write_dot_model(tmp_path / "dots.onnx", SIZE, metadata=about)
    with pytest.raises(UserError, match=rf"dots\.onnx: metadata\.{field}: is missing"):
        OnnxModel(path)


def test_files_that_are_no_models_are_one_line(tmp_path: Path) -> None:
    whole = write_dot_model(tmp_path / "dots.onnx", SIZE).read_bytes()
    cut, empty = tmp_path / "cut.onnx", tmp_path / "empty.onnx"
    cut.write_bytes(whole[: len(whole) // 2])
    empty.write_bytes(b"")
    weights = tmp_path / "net.safetensors"
    weights.write_bytes(whole)
    cases = {
        "cannot load it": cut,
        "file is empty": empty,
        "is a folder": tmp_path,
        "is no regular file": Path("/dev/null"),
        "these are weights": weights,
    }
    for message, path in cases.items():
        with pytest.raises(UserError, match=message) as caught:
            OnnxModel(path)
        assert str(caught.value).startswith(str(path))


def test_metadata_may_say_that_scores_are_not_measured(tmp_path: Path) -> None:
    assert OnnxModel(write_dot_model(tmp_path / "a.onnx", SIZE)).scored
    assert not OnnxModel(
        write_dot_model(tmp_path / "b.onnx", SIZE, metadata={**ABOUT, "scored": False})
    ).scored


def test_outputs_that_are_not_finite_count_as_not_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = OnnxModel(write_dot_model(tmp_path / "dots.onnx", SIZE, spoilt=True))
    images = np.random.default_rng(0).integers(0, 255, (2, *SIZE, 3), np.uint8)
    with caplog.at_level(logging.WARNING):
        found = [model.codec.group(candidates) for candidates in model.candidates(images)]
    for poses in found:
        assert (poses.keypoints[:, 0] == 0).all()
        assert (poses.keypoints[:, 1:, 2] > 0).all()
        assert np.isfinite(poses.scores).all()
    (message,) = caplog.messages
    assert "dots.onnx: its outputs hold numbers that are not finite" in message


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    write_dot_model(tmp_path / "dots.onnx", SIZE).rename(tmp_path / "dots\udcff.onnx")
    assert OnnxModel(tmp_path / "dots\udcff.onnx").resolution == SIZE
