"""Networks and images for the tests of networks, and what every transfer has to fulfil."""

import torch
from torch import Tensor

from nas.models import PoseNet, calibrate, transfer
from nas.space.arch import Arch


def randomised(net: PoseNet, seed: int = 0) -> PoseNet:
    """Every parameter away from its initial value, so that no identity hides a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return net.eval()


def images(arch: Arch, batch: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(batch, 3, *arch.resolution, generator=torch.Generator().manual_seed(seed))


def assert_transfer_is_exact(net: PoseNet, arch: Arch, layout: str = "contiguous_format") -> None:
    stats = calibrate(net, arch, images(arch, seed=1))
    x = images(arch, seed=2).contiguous(memory_format=getattr(torch, layout))
    with torch.no_grad():
        expected, actual = net(x, arch, stats), transfer(net, arch, stats)(x)
    assert expected.keys() == actual.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, actual[name]), name
