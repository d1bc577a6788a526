import subprocess
import sys

import numpy as np
import pytest
from dot_model import DOTS, dot_arch, dotted_image, write_dot_model

from nas.errors import UserError
from nas.runtime import OnnxModel


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


def test_older_files_hold_raw_scores_which_are_scaled(tmp_path):
    """The file says SimCC: of 96 and 128 bins, a sigmoid's half is more than a perfect answer."""
    image = np.full((1, 64, 48, 3), 20, np.uint8)
    ways = (None, 1)
    older, newer = (
        OnnxModel(write_dot_model(tmp_path / f"{scale}.onnx", (64, 48), score_scale=scale)) for scale in ways
    )
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
        "does not exist": tmp_path / "absent.onnx",
        "onnxruntime cannot load it": tmp_path / "broken.onnx",
        "not written by `nas export`": write_dot_model(tmp_path / "bare.onnx", (64, 48), metadata=False),
        "its format is 9, not 1": write_dot_model(tmp_path / "new.onnx", (64, 48), version=9),
        "its scores have scale 2, not 1": write_dot_model(tmp_path / "own.onnx", (64, 48), score_scale=2),
    }
    for message, path in cases.items():
        with pytest.raises(UserError, match=message) as caught:
            OnnxModel(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="at least one thread"):
        OnnxModel(cases["its format is 9, not 1"], threads=0)


def test_torch_is_not_imported():
    code = "import sys, nas.runtime; print('torch' in sys.modules, 'onnx' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["False", "False"]
