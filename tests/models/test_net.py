"""The pose network: published sizes, calibration, transfer, weights files."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from net_samples import assert_transfer_is_exact, images, randomised
from torch import Tensor, nn

from nas.errors import UserError
from nas.layers import ElasticDepthwiseConv2d, ResampledLinear
from nas.models import (
    PoseNet,
    StatisticsMissingError,
    calibrate,
    load_into,
    load_weights,
    save_weights,
    transfer,
)
from nas.space import ArchManager, SearchSpace
from nas.space.arch import Neck

OWN_SPACES = Path(__file__).parents[1] / "spaces"
PUBLISHED = {
    "litepose-auto-xs": (1_675_552, 1_675_912),
    "litepose-auto-s": (2_731_240, 2_731_624),
    "litepose-auto-m": (3_533_808, 3_534_336),
    "litepose-auto-l": (5_738_120, 5_738_672),
}
SPACES = [
    *("litepose", "litepose-published", "openpose-lite", "person-crop", "demo"),
    *("yolopose", "any-head-crowd"),
    str(OWN_SPACES / "cspnext.yaml"),
]


@pytest.fixture(scope="module")
def net() -> PoseNet:
    return randomised(PoseNet(SearchSpace.load("demo"), "crowdpose14"))


@pytest.mark.parametrize(("name", "expected"), PUBLISHED.items())
def test_published_parameters(name: str, expected: tuple[int, int]) -> None:
    arch = SearchSpace.load("litepose-published").published()[name]
    for skeleton, count in zip(("crowdpose14", "coco17"), expected, strict=True):
        assert sum(p.numel() for p in PoseNet(arch, skeleton).parameters()) == count


@pytest.mark.parametrize("space_name", SPACES)
@pytest.mark.parametrize("layout", ["contiguous_format", "channels_last"])
def test_transfer_is_exact(space_name: str, layout: str) -> None:
    space = SearchSpace.load(space_name)
    rng = np.random.default_rng(0)
    net = randomised(PoseNet(space, "coco17"))
    net.to(memory_format=getattr(torch, layout))
    resolution = space.resolutions[0]
    for head in space.heads:
        assert_transfer_is_exact(
            net, ArchManager(space).sample(rng, head=head, resolution=resolution), layout
        )


@pytest.mark.slow
@pytest.mark.parametrize("space_name", SPACES)
def test_transfer_of_100_archs_is_exact(space_name: str) -> None:
    space = SearchSpace.load(space_name)
    rng = np.random.default_rng(1)
    net = randomised(PoseNet(space, "crowdpose14"))
    for number in range(100):
        head = space.heads[number % len(space.heads)]
        assert_transfer_is_exact(net, ArchManager(space).sample(rng, head=head))


@pytest.mark.parametrize("head", ["heatmap", "simcc"])
def test_no_gradient_outside_the_slice(net: PoseNet, head: str) -> None:
    """Zeroing all gradients inside the active slices leaves nothing; other modules have none at all.

    Resampled linear layers are exempt: every weight of theirs takes part at every grid.
    """
    arch = ArchManager(net.space).smallest(head=head)
    plain = PoseNet(arch, net.skeleton)
    net.zero_grad()
    sum(out.square().sum() for out in net.train()(images(arch), arch).values()).backward()
    net.eval()
    active = dict(plain.named_parameters())
    resampled = {
        f"{name}.{own}"
        for name, module in net.named_modules()
        if isinstance(module, ResampledLinear)
        for own in ("weight", "bias")
    }
    for name, parameter in net.named_parameters():
        if name not in active:
            if "transform_" not in name:
                assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        if name in resampled:
            continue
        outside = parameter.grad.clone()
        outside[_slice(active[name], parameter)] = 0
        assert not outside.any(), name


def _slice(active: nn.Parameter, parameter: nn.Parameter) -> tuple[slice, ...]:
    """Leading channels, and the centre of a kernel."""
    slices = [slice(0, size) for size in active.shape[:2]]
    for small, large in zip(active.shape[2:], parameter.shape[2:], strict=True):
        start = (large - small) // 2
        slices.append(slice(start, start + small))
    return tuple(slices)


def test_networks_of_one_body_run_together_as_each_does_alone() -> None:
    """In outputs and gradients; stem and stages run once, and so does a neck that several stand on."""
    space = SearchSpace.load("any-head-crop").narrow(resolutions=[(96, 64)])
    manager = ArchManager(space)
    body = manager.sample(np.random.default_rng(2))
    necks = {"none": Neck(), "fusion_deconv": manager.largest(head="heatmap").neck}
    archs = []
    for head in space.heads:
        neck = "fusion_deconv" if head in ("heatmap", "dsnt", "simcc") else "none"
        given = manager.smallest(head=head, neck=neck)
        archs.append(replace(given, stem=body.stem, stages=body.stages, neck=necks[neck]))
        assert space.contains(archs[-1])
    torch.manual_seed(0)
    net = PoseNet(space, "coco17").double().train()
    x = images(archs[0], batch=4).double()

    def gradients(outputs: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        net.zero_grad(set_to_none=True)
        sums = [tensor.square().sum() for of_one in outputs for tensor in of_one.values()]
        torch.stack(sums).sum().backward()
        return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}

    calls: Counter[str] = Counter()
    modules = [*net.stems.values(), *net.stages, *net.necks.values()]
    names = {module: name for name, module in net.named_modules()}
    hooks = [m.register_forward_hook(lambda module, *_: calls.update([names[module]])) for m in modules]
    together = net.together(x, archs)
    assert set(calls.values()) == {1}
    assert len(calls) == 1 + len(net.stages) + 2
    for hook in hooks:
        hook.remove()
    alone = [net(x, arch) for arch in archs]
    for found, expected in zip(together, alone, strict=True):
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    expected_gradients = gradients(alone)
    found_gradients = gradients(together)
    assert found_gradients.keys() == expected_gradients.keys()
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(found_gradients[name], gradient, rtol=1e-8, atol=1e-9, msg=name)
    with pytest.raises(ValueError, match="one body"):
        net.together(x, [archs[0], manager.largest(head="heatmap")])


def test_calibrating_other_archs_changes_nothing(net: PoseNet) -> None:
    rng = np.random.default_rng(3)
    arch = ArchManager(net.space).sample(rng)
    stats = calibrate(net, arch, images(arch))
    x = images(arch, seed=5)
    before_state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with torch.no_grad():
        before = net(x, arch, stats)
        for _ in range(3):
            other = ArchManager(net.space).sample(rng)
            calibrate(net, other, images(other))
        after = net(x, arch, stats)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(before_state[name], tensor) for name, tensor in net.state_dict().items())
    again = calibrate(net, arch, images(arch))
    assert all(torch.equal(again.values[key][0], stats.values[key][0]) for key in stats.values)


def test_calibration_over_batches_equals_one_batch_of_first_moments() -> None:
    """The first norm sees the same input whatever the batches, so its statistics are those of all images."""
    net = randomised(PoseNet(ArchManager(SearchSpace.load("demo")).smallest(), "coco17"))
    x = images(net.resolve(None), batch=6)
    whole, parts = calibrate(net, None, x), calibrate(net, None, [x[:2], x[2:]])
    key = "stems.separable.conv_norm"
    torch.testing.assert_close(whole.values[key], parts.values[key], rtol=1e-5, atol=1e-6)


def test_calibrated_network_normalises_its_calibration_images(net: PoseNet) -> None:
    """On the one batch that it was calibrated on, eval mode equals the batch-statistics mode."""
    arch = ArchManager(net.space).smallest()
    x = images(arch, batch=4)
    with torch.no_grad():
        scored = net(x, arch, calibrate(net, arch, x))
        trained = net.train()(x, arch)
    net.eval()
    for name in scored:
        torch.testing.assert_close(scored[name], trained[name], rtol=1e-3, atol=1e-3)


def test_scoring_without_statistics_is_refused(net: PoseNet) -> None:
    arch = ArchManager(net.space).smallest()
    with pytest.raises(StatisticsMissingError):
        net(images(arch), arch)
    with pytest.raises(StatisticsMissingError):
        PoseNet(arch, "coco17").eval()(images(arch))


def test_statistics_of_another_arch_are_refused(net: PoseNet) -> None:
    smallest, largest = ArchManager(net.space).smallest(), ArchManager(net.space).largest()
    stats = calibrate(net, smallest, images(smallest))
    with pytest.raises(ValueError, match="statistics of architecture"):
        net(images(largest), largest, stats)
    with pytest.raises(ValueError, match="statistics of architecture"):
        transfer(net, largest, stats)


def test_images_of_another_size_are_refused(net: PoseNet) -> None:
    with pytest.raises(ValueError, match="images of"):
        net.train()(torch.zeros(1, 3, 32, 32), ArchManager(net.space).smallest())
    net.eval()


def test_supernet_must_be_told_the_arch(net: PoseNet) -> None:
    with pytest.raises(ValueError, match="must be told"):
        net(torch.zeros(1, 3, 32, 32))


def test_transfer_of_an_arch_outside_the_space_is_refused(net: PoseNet) -> None:
    other = ArchManager(SearchSpace.load("person-crop")).largest()
    with pytest.raises(UserError, match="is not in space"):
        transfer(net, other, calibrate(PoseNet(other, "coco17"), None, images(other)))


def test_residuals_exist_by_position() -> None:
    arch = SearchSpace.load("litepose-published").published()["litepose-auto-xs"]
    net = PoseNet(arch, "coco17")
    for stage in net.stages:
        assert [block.residual for block in stage.types["mbconv"]] == [False] + [True] * (
            len(stage.types["mbconv"]) - 1
        )


def test_weights_file_round_trip(tmp_path: Path, net: PoseNet) -> None:
    arch = ArchManager(net.space).sample(np.random.default_rng(0))
    plain = transfer(net, arch, calibrate(net, arch, images(arch)))
    for name, network in {"plain": plain, "supernet": net}.items():
        path = tmp_path / f"{name}.safetensors"
        save_weights(path, network, notes={"from": "test"})
        loaded = load_weights(path)
        assert loaded.skeleton == network.skeleton
        assert loaded.arch == network.arch
        assert loaded.space == network.space
        assert loaded.is_calibrated == (name == "plain")
        for key, tensor in network.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], tensor)
    x = images(arch)
    with torch.no_grad():
        ours, theirs = plain(x), load_weights(tmp_path / "plain.safetensors")(x)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_broken_weights_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.safetensors"):
        load_weights(path)
    with pytest.raises(UserError, match="no such weights file"):
        load_weights(tmp_path / "missing.safetensors")


def test_initialisation_from_a_narrower_network(tmp_path: Path, net: PoseNet) -> None:
    arch = ArchManager(net.space).smallest()
    plain = randomised(PoseNet(arch, net.skeleton), seed=9)
    save_weights(tmp_path / "plain.safetensors", plain)
    target = PoseNet(net.space, net.skeleton)
    fitted, total = load_into(target, tmp_path / "plain.safetensors")
    assert 0 < fitted < total
    source = plain.get_parameter("stages.0.types.mbconv.0.project.weight")
    copied = target.get_parameter("stages.0.types.mbconv.0.project.weight")
    assert torch.equal(copied[: source.shape[0], : source.shape[1]], source)


def test_kernel_transforms_stay_fp32_under_autocast() -> None:
    layer = ElasticDepthwiseConv2d(8, (3, 5, 7))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer.active_weight(8, 3).dtype == torch.float32


def test_given_statistics_come_before_embedded_ones(net: PoseNet) -> None:
    arch = ArchManager(net.space).smallest()
    first, second = (calibrate(net, arch, images(arch, seed=seed)) for seed in (1, 2))
    plain = transfer(net, arch, first)
    x = images(arch, seed=3)
    with torch.no_grad():
        given, expected = plain(x, arch, second), transfer(net, arch, second)(x)
        embedded = plain(x)
    assert all(torch.equal(given[name], expected[name]) for name in given)
    assert any(not torch.equal(given[name], embedded[name]) for name in given)
    plain.forget_statistics()
    assert not plain.is_calibrated
    with pytest.raises(StatisticsMissingError):
        plain(x)
