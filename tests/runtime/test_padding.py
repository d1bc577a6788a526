"""How much boxes are grown goes with a network from its training to its ONNX file."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_training import RecipeMaker, make_config, tiny_files, tiny_space

from nas.codecs.affine import PADDING
from nas.errors import UserError
from nas.evaluate.export import export_fp32
from nas.evaluate.loading import load_model, load_plain
from nas.models import load_weights, read_weights, save_weights
from nas.runs import load_supernet
from nas.runtime import OnnxModel, PosePipeline
from nas.space import ArchManager
from nas.train import finetune_subnet, train_supernet

__all__ = ["make_config", "tiny_files", "tiny_space"]


@pytest.fixture
def exported(make_config: RecipeMaker, tmp_path: Path) -> tuple[Path, Path]:
    """Weights and ONNX file of a network that was trained with much room around people."""
    config = make_config(steps=1, finetune={"steps": 1})
    config = config.model_copy(update={"data": config.data.model_copy(update={"padding": 1.75})})
    run = train_supernet(config, tmp_path / "run")
    assert load_weights(run.weights_file).padding == load_supernet(run).padding == 1.75
    arch = ArchManager(run.config().load_space()).smallest(head="heatmap")
    weights = finetune_subnet(run.path, arch, name="net")
    export_fp32(load_plain(weights), tmp_path / "net.onnx")
    return weights, tmp_path / "net.onnx"


def test_everything_grows_boxes_as_the_training_did(exported: tuple[Path, Path]) -> None:
    models = [load_model(file) for file in exported]
    assert [model.padding for model in models] == [1.75, 1.75]
    image = np.random.default_rng(0).integers(0, 255, (120, 90, 3), np.uint8)
    box = [(20.0, 30.0, 60.0, 100.0)]
    keypoints = [PosePipeline(model)(image, box).keypoints for model in models]
    np.testing.assert_allclose(*keypoints, atol=0.01)
    told = PosePipeline(models[1], padding=PADDING)(image, box).keypoints
    assert not np.allclose(told, keypoints[1], atol=0.01)


def test_files_of_before_have_the_usual_one(exported: tuple[Path, Path], tmp_path: Path) -> None:
    model = onnx.load(str(exported[1]))
    (entry,) = model.metadata_props
    known = json.loads(entry.value)
    for padding, expected in ((None, PADDING), (0, None), ("wide", None)):
        entry.value = json.dumps({**known, "padding": padding} if padding is not None else _without(known))
        onnx.save(model, str(tmp_path / "other.onnx"))
        if expected is None:
            with pytest.raises(
                UserError, match=r"other\.onnx: metadata\.padding: expected a number from 0\.01"
            ):
                OnnxModel(tmp_path / "other.onnx")
        else:
            assert OnnxModel(tmp_path / "other.onnx").padding == expected


def _without(known: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in known.items() if name != "padding"}


def test_a_copy_of_the_weights_keeps_it(exported: tuple[Path, Path], tmp_path: Path) -> None:
    save_weights(tmp_path / "copy.safetensors", load_weights(exported[0]))
    assert read_weights(tmp_path / "copy.safetensors")[0]["padding"] == 1.75
