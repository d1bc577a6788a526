"""Networks of every shipped search space: traced, exported, transferred."""

import numpy as np
import pytest
import torch
from net_samples import assert_transfer_is_exact, randomised

from nas.graph import Tracer, export_onnx
from nas.models import PoseNet
from nas.shipped import shipped_names
from nas.space import ArchManager, SearchSpace

SPACES = shipped_names("search_spaces", ".yaml")


@pytest.mark.parametrize("name", SPACES)
def test_smallest_and_largest_networks_are_traced(name: str) -> None:
    space = SearchSpace.load(name)
    manager = ArchManager(space)
    tracer = Tracer(space, "coco17")
    for head in space.heads:
        small, large = (tracer(arch) for arch in (manager.smallest(), manager.largest(head=head)))
        assert 0 < small.macs < large.macs
        assert 0 < small.params < large.params


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_random_networks_are_exported_and_transferred(name, tmp_path, calibrated_net) -> None:
    """The export compares with torch by itself, and raises where they differ."""
    space = SearchSpace.load(name)
    torch.manual_seed(0)
    net, rng = randomised(PoseNet(space, "coco17")), np.random.default_rng(0)
    for head in space.heads:
        for _ in range(2):
            arch = ArchManager(space).sample(rng, head=head)
            assert_transfer_is_exact(net, arch)
            export_onnx(calibrated_net(arch), tmp_path / "net.onnx")
