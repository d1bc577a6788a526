"""The tiny space and data set, and a run over them that looks trained."""

from pathlib import Path

import pytest
from made_up_predictor import made_up_predictor
from tiny_training import RecipeMaker, make_config, steps, tiny_files, tiny_space

from nas.models import PoseNet, save_weights
from nas.runs import RunFolder
from nas.space import SearchSpace, Skeleton

__all__ = ["make_config", "steps", "tiny_files", "tiny_space"]


@pytest.fixture
def tiny_run(make_config: RecipeMaker, tiny_space: SearchSpace, tmp_path: Path) -> RunFolder:
    """With a supernet of random weights, and a predictor of another machine."""
    import torch

    run = RunFolder.start(tmp_path / "run", make_config())
    torch.manual_seed(0)
    save_weights(run.weights_file, PoseNet(tiny_space, "coco17"))
    run.predictor_file.parent.mkdir()
    made_up_predictor(tiny_space, Skeleton.load("coco17"), tmp_path).rename(run.predictor_file)
    return run
