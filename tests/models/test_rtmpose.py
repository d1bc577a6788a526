"""The published RTMPose networks: in their space, of their size, transferred exactly."""

import numpy as np
import pytest
import torch

from nas.graph import complexity
from nas.models import PoseNet, calibrate, transfer
from nas.space import Arch, ArchManager, SearchSpace

# Millions of parameters and of MACs at 256x192 with 17 joints, from RTMPose's table of models.
PUBLISHED = {"rtmpose-t": (3.34, 360), "rtmpose-s": (5.47, 680), "rtmpose-m": (13.59, 1930)}
# The same networks counted exactly, every true product once.
EXACT = {
    "rtmpose-t": (3_337_007, 354_796_416),
    "rtmpose-s": (5_473_251, 676_405_888),
    "rtmpose-m": (13_587_611, 1_917_671_040),
}


def test_the_space_holds_the_published_networks() -> None:
    assert SearchSpace.load("rtmpose").published() == {name: Arch.load(name) for name in PUBLISHED}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_size(name: str) -> None:
    arch = Arch.load(name)
    found = complexity(arch, "coco17")
    params, macs = PUBLISHED[name]
    assert arch.resolution == (256, 192)
    assert found.params / 1e6 == pytest.approx(params, rel=0.02)
    assert found.macs / 1e6 == pytest.approx(macs, rel=0.03)
    assert (found.params, found.macs) == EXACT[name]
    with torch.device("meta"):
        assert sum(p.numel() for p in PoseNet(arch, "coco17").parameters()) == found.params


def test_transfer_from_the_space_is_exact() -> None:
    space = SearchSpace.load("rtmpose")
    torch.manual_seed(0)
    net = PoseNet(space, "coco17").eval()
    rng = np.random.default_rng(0)
    for resolution in space.resolutions[:2]:
        arch = ArchManager(space).sample(rng, resolution=resolution)
        x = torch.randn(2, 3, *resolution)
        stats = calibrate(net, arch, x)
        with torch.no_grad():
            expected, actual = net(x, arch, stats), transfer(net, arch, stats)(x)
        assert all(torch.equal(value, actual[name]) for name, value in expected.items())
