"""Feature pyramids: their levels against formulas, transfer, sorted channels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pyramids import pyramids
from torch import Tensor, nn

from nas.graph import complexity, sort_channels
from nas.layers import Context, ElasticBatchNorm2d
from nas.models import PoseNet, calibrate, transfer
from nas.models.necks.fpn import FPN
from nas.models.necks.pan import PAN
from nas.space import Arch, ArchManager, Neck
from nas.space.spec import NeckChoices

FEATURES = [(8, 2), (8, 4), (16, 8), (24, 16), (32, 16)]
STRIDES = {"fpn": (16, 8, 4), "pan": (32, 16, 8, 4)}
NECKS = ("fpn", "pan")


@pytest.fixture(scope="module")
def net() -> PoseNet:
    torch.manual_seed(0)
    return random_norms(PoseNet(pyramids(), "crowdpose14")).eval()


def random_norms(net: PoseNet) -> PoseNet:
    for module in net.modules():
        if isinstance(module, ElasticBatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return net


def images(arch: Arch, seed: int = 0) -> Tensor:
    return torch.randn(2, 3, *arch.resolution, generator=torch.Generator().manual_seed(seed))


def archs(count: int, neck: str | None = None) -> list[Arch]:
    manager, rng = ArchManager(pyramids()), np.random.default_rng(0)
    drawn = (manager.sample(rng) for _ in range(20 * count))
    return [arch for arch in drawn if neck in (None, arch.neck.type)][:count]


@pytest.mark.parametrize("neck", NECKS)
def test_levels_halve_the_stride_and_have_their_own_widths(net: PoseNet, neck: str) -> None:
    assert tuple(level.stride for level in net.necks[neck].levels) == STRIDES[neck]
    (arch,) = archs(1, neck)
    features = [
        torch.randn(1, channels, arch.resolution[0] // stride, arch.resolution[1] // stride)
        for channels, stride in zip(
            (arch.stem.width, *(stage.width for stage in arch.stages)), (2, 4, 8, 16, 16), strict=True
        )
    ]
    levels = net.necks[neck](tuple(features), arch.neck, Context(observe=lambda *_: None))
    for (refined, raw), width, stride in zip(levels, arch.neck.widths, STRIDES[neck], strict=True):
        assert raw is None
        assert refined.shape == (1, width, arch.resolution[0] // stride, arch.resolution[1] // stride)


def _norm(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True)


def _top_down(neck: FPN | PAN, features: list[Tensor]) -> list[Tensor]:
    """The sums of both levels, with batch statistics; each lateral and up-sampler is linear but for ReLU."""
    parts = neck.top_down
    coarse = _norm(F.conv2d(features[-1], parts.lateral[0].conv.weight))
    up = F.relu(_norm(F.conv2d(coarse, parts.upsample[0]["nearest"].refined.weight)))
    fine = _norm(F.conv2d(features[2], parts.lateral[1].conv.weight))
    return [coarse, fine + up.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)]


def _dense(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    return F.relu(_norm(F.conv2d(x, weight, stride=stride, padding=1)))


def _small(neck: type[FPN] | type[PAN]) -> tuple[FPN | PAN, list[Tensor], Neck]:
    torch.manual_seed(1)
    spec = NeckChoices.read({"upsampler": "nearest", "convolution": "dense", "widths": [[16], [8]]}, "neck")
    features = [torch.randn(2, channels, 64 // stride, 64 // stride) for channels, stride in FEATURES]
    return neck(FEATURES, spec).train(), features, Neck("any", "nearest", (16, 8), "dense")


def test_fpn_by_hand() -> None:
    neck, features, choice = _small(FPN)
    sums = _top_down(neck, features)
    for (found, _), x, smooth in zip(
        neck(tuple(features), choice, Context()), sums, neck.smooth, strict=True
    ):
        torch.testing.assert_close(found, _dense(x, smooth["dense"].conv.weight), rtol=1e-4, atol=1e-4)


def test_pan_by_hand() -> None:
    neck, features, choice = _small(PAN)
    coarse, fine = _top_down(neck, features)
    fine = _dense(fine, neck.smooth[0]["dense"].conv.weight)
    coarse = coarse + _dense(fine, neck.shrink[0]["dense"].conv.weight, stride=2)
    coarse = _dense(coarse, neck.smooth[1]["dense"].conv.weight)
    for (found, _), expected in zip(neck(tuple(features), choice, Context()), (coarse, fine), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", ["contiguous_format", "channels_last"])
def test_transfer_is_exact(layout: str) -> None:
    torch.manual_seed(0)
    net = random_norms(PoseNet(pyramids(), "coco17")).eval().to(memory_format=getattr(torch, layout))
    for arch in archs(12):
        stats = calibrate(net, arch, images(arch, seed=1))
        x = images(arch, seed=2)
        with torch.no_grad():
            expected, plain = net(x, arch, stats), transfer(net, arch, stats)
            found = plain(x)
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        assert expected.keys() == found.keys()


@pytest.mark.parametrize("neck", NECKS)
def test_a_plain_network_has_just_the_parameters_that_are_used(neck: str) -> None:
    for arch in archs(4, neck):
        total = sum(parameter.numel() for parameter in PoseNet(arch, "coco17").parameters())
        assert complexity(arch, "coco17").params == total


def test_sorting_channels_leaves_the_largest_networks_as_they_are() -> None:
    torch.manual_seed(0)
    net = random_norms(PoseNet(pyramids(), "coco17")).eval()
    largest = []
    for neck in NECKS:
        last = {dimension.name: len(dimension.choices) - 1 for dimension in net.space.dimensions}
        last |= {"head.type": 0, "head.test_every_level.neck": NECKS.index(neck), "resolution": 0}
        for name in (f"neck.{neck}.upsampler", f"neck.{neck}.convolution"):
            choices = next(d for d in net.space.dimensions if d.name == name).choices
            largest += [ArchManager(net.space).decode(last | {name: index}) for index in range(len(choices))]
    before = [scored(net, arch) for arch in largest]
    weights = {key: value.clone() for key, value in net.state_dict().items()}

    sort_channels(net)

    for arch, expected in zip(largest, before, strict=True):
        for key, value in scored(net, arch).items():
            scale = expected[key].abs().max().item()
            torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-4 * scale)
    moved = {key for key, value in net.state_dict().items() if not torch.equal(value, weights[key])}
    for part in (
        "fpn.top_down.lateral.1.conv.weight",
        "fpn.top_down.upsample.1.nearest.refined.weight",
        "fpn.smooth.2.dense.conv.weight",
        "pan.top_down.extend.0.separable.project.weight",
        "pan.shrink.0.separable.depthwise.weight",
    ):
        assert f"necks.{part}" in moved


def scored(net: PoseNet, arch: Arch) -> dict[str, Tensor]:
    with torch.no_grad():
        return net(images(arch), arch, calibrate(net, arch, [images(arch)]))
