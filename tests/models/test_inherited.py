"""What one network takes from the weights file of another."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas.models import PoseNet, calibrate, load_into, parameters_for, save_weights
from nas.space import Arch, ArchManager, SearchSpace

STAGE = {"type": "mbconv", "activation": "relu", "stride": 2, "kernel": [3, 5, 7], "expansion": [2, 4]}
LARGE: dict[str, Any] = {
    "version": 1,
    "name": "large",
    "task": "crop",
    "resolution": [[32, 32], [64, 48], [96, 64]],
    "stem": {"width": [8, 16], "activation": "relu"},
    "stages": [{**STAGE, "width": [8, 16, 24], "depth": [1, 2, 3]}] * 2,
    "necks": {"none": {}, "fusion_deconv": {"upsampler": ["nearest_dw", "deconv2x2"], "widths": [[8, 16]]}},
    "heads": {"simcc": {"neck": "none"}, "heatmap": {"neck": "fusion_deconv"}},
}
SMALL: dict[str, Any] = {
    **LARGE,
    "name": "small",
    "resolution": [[32, 32], [64, 48]],
    "stem": {"width": 8, "activation": "relu"},
    "stages": [{**STAGE, "kernel": [3, 5], "expansion": 2, "width": [8, 16], "depth": [1, 2]}] * 2,
}


def net_of(over: SearchSpace | Arch, seed: int, skeleton: str = "coco17") -> PoseNet:
    """A network whose every parameter is random, norms and biases too."""
    torch.manual_seed(seed)
    net = PoseNet(over, skeleton)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.3)
    return net.eval()


@pytest.fixture(scope="module")
def large() -> PoseNet:
    return net_of(SearchSpace.from_json(LARGE), seed=1)


@pytest.fixture
def file(large: PoseNet, tmp_path: Path) -> Path:
    save_weights(tmp_path / "large.safetensors", large)
    return tmp_path / "large.safetensors"


def outputs(net: PoseNet, arch: Arch) -> list[torch.Tensor]:
    images = torch.randn(4, 3, *arch.resolution, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = net(images, arch, calibrate(net, arch, [images]))
    return list(found.values()) if isinstance(found, dict) else list(found)


def test_networks_of_a_space_within_its_own_compute_what_they_did(large: PoseNet, file: Path) -> None:
    small = net_of(SearchSpace.from_json(SMALL), seed=2)
    assert load_into(small, file) == (len(list(small.parameters())),) * 2
    manager, rng = ArchManager(small.space), np.random.default_rng(0)
    archs = [manager.sample(rng, head="heatmap") for _ in range(12)]
    archs += [manager.sample(rng, head="simcc", resolution=(64, 48)) for _ in range(6)]
    for arch in archs:
        for mine, theirs in zip(outputs(small, arch), outputs(large, arch), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_a_plain_network_gets_its_slice(large: PoseNet, file: Path) -> None:
    arch = ArchManager(SearchSpace.from_json(SMALL)).smallest(head="heatmap")
    plain = net_of(arch, seed=2)
    load_into(plain, file)
    for mine, theirs in zip(outputs(plain, arch), outputs(large, arch), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_heads_of_other_joints_stay_as_they_are(large: PoseNet, file: Path) -> None:
    small, before = (net_of(SearchSpace.from_json(SMALL), seed=2, skeleton="crowdpose14") for _ in range(2))
    fitted, total = load_into(small, file)
    heads = {name for name, _ in small.named_parameters() if name.startswith("heads.")}
    assert heads
    assert fitted == total - len(heads)
    for name, parameter in small.named_parameters():
        assert torch.equal(parameter, before.get_parameter(name)) == (name in heads), name


def test_an_input_that_the_file_does_not_know_takes_all_but_heads_of_its_size(file: Path) -> None:
    other = SearchSpace.from_json({**SMALL, "resolution": [[48, 48]]})
    small, before = (net_of(other, seed=2) for _ in range(2))
    load_into(small, file)
    kept = {
        name
        for name, parameter in small.named_parameters()
        if torch.equal(parameter, before.get_parameter(name))
    }
    assert kept
    assert all(name.startswith("heads.none.simcc") for name in kept), kept
    assert not any("depthwise" in name for name in kept), "what has no size of the input is taken"


def test_a_space_beyond_the_file_says_why_nothing_is_sliced(large: PoseNet, file: Path) -> None:
    wider = SearchSpace.from_json({**SMALL, "stem": {"width": [8, 24], "activation": "relu"}})
    tensors, reason = parameters_for(net_of(wider, seed=2), file)
    assert reason is not None
    assert "stem" in reason
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        name: parameter.shape for name, parameter in large.named_parameters()
    }
