"""An exported network gives the poses of the torch network that it came from."""

import copy
import logging

import numpy as np
import pytest
import torch
from head_samples import SHIPPED_HEADS, small_arch

from nas.evaluate.torch_model import TorchModel
from nas.graph import export_onnx
from nas.models import PoseNet, calibrate, transfer
from nas.runtime import OnnxModel, PosePipeline


@pytest.fixture(scope="module", params=SHIPPED_HEADS)
def models(request, tmp_path_factory):
    arch = small_arch(request.param)
    torch.manual_seed(0)
    net = PoseNet(arch, "coco17")
    net = transfer(net, arch, calibrate(net, arch, [torch.randn(4, 3, 64, 96)]))
    path = tmp_path_factory.mktemp("exported") / "net.onnx"
    export_onnx(net, path)
    return TorchModel(net), OnnxModel(path)


def test_candidates_agree(models):
    in_torch, exported = models
    images = np.random.default_rng(1).integers(0, 256, (2, 64, 96, 3), np.uint8)
    assert exported.arch == in_torch.arch
    assert exported.skeleton == in_torch.skeleton
    for expected, found in zip(in_torch.candidates(images), exported.candidates(images), strict=True):
        assert set(found) == set(expected)
        for name in set(found) - {"candidates", "keypoints"}:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-3)


def test_pipeline_runs_both(models):
    image = np.random.default_rng(2).integers(0, 256, (90, 70, 3), np.uint8)
    poses = [PosePipeline(model)(image) for model in models]
    assert len(poses[0]) == len(poses[1])
    assert poses[0].keypoints.shape[1:] == (17, 3)


def test_numbers_that_are_not_finite_become_no_poses(models, caplog):
    in_torch, _ = models
    net = copy.deepcopy(in_torch.net)
    for parameter in net.parameters():
        parameter.data.fill_(torch.nan)
    images = np.random.default_rng(3).integers(0, 256, (2, 64, 96, 3), np.uint8)
    with caplog.at_level(logging.WARNING):
        poses = [in_torch.codec.group(found) for found in TorchModel(net).candidates(images)]
    for found in poses:
        assert np.isfinite(found.keypoints).all()
        assert np.isfinite(found.scores).all()
    # Some graphs keep what is no number from being found: there is nothing to say then.
    assert sum("are not finite" in message for message in caplog.messages) <= 1
