"""Feature pyramids in ONNX: every level is torch's, whatever up-samples and convolves."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from pyramids import pyramids

from nas.graph import Tracer, complexity, to_onnx
from nas.space import Arch, ArchManager

SPACE = pyramids()


def networks() -> list[Arch]:
    """The largest network of either neck, with every up-sampler and convolution."""
    found = []
    for index, neck in enumerate(("fpn", "pan")):
        last = {dimension.name: len(dimension.choices) - 1 for dimension in SPACE.dimensions}
        arch = ArchManager(SPACE).decode(last | {"head.type": 0, "head.test_every_level.neck": index})
        spec = SPACE.spec.necks[neck]
        found += [replace(arch, neck=replace(arch.neck, upsampler=name)) for name in spec.upsamplers]
        found += [replace(arch, neck=replace(arch.neck, convolution=name)) for name in spec.convolutions]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(
    "arch", networks(), ids=lambda arch: f"{arch.neck.type}-{arch.neck.upsampler}-{arch.neck.convolution}"
)
def test_levels_agree_with_torch(arch: Arch, calibrated_net, run_onnx) -> None:
    net = calibrated_net(arch)
    x = torch.randn(1, 3, *arch.resolution, generator=torch.Generator().manual_seed(0))
    model = to_onnx(Tracer.of(net)(arch), net)
    onnx.checker.check_model(model, full_check=True)
    found = run_onnx(model, x)
    with torch.no_grad():
        expected = net.decode(net(x))
    assert list(found) == list(expected)
    for name, value in expected.items():
        scale = value.abs().max().item()
        np.testing.assert_allclose(found[name], value.numpy(), rtol=0, atol=1e-5 * scale)


def test_a_supernets_traces_are_those_of_plain_networks() -> None:
    rng = np.random.default_rng(0)
    for arch in (ArchManager(SPACE).sample(rng) for _ in range(8)):
        assert complexity(arch, "coco17", space=SPACE) == complexity(arch, "coco17")
