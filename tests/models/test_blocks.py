"""Block types: alone and several in one supernet."""

import numpy as np
import pytest
import torch
from block_samples import ALL_TYPES, block_space, stage_data
from net_samples import assert_transfer_is_exact, images, randomised

from nas.models import PoseNet
from nas.models.blocks.shuffle import shuffle_channels, split_channels
from nas.space import ArchManager, SearchSpace

MIXTURES = [*((name,) for name in ALL_TYPES), ALL_TYPES]


@pytest.mark.parametrize("types", MIXTURES, ids="-".join)
@pytest.mark.parametrize("layout", ["contiguous_format", "channels_last"])
def test_transfer_is_exact(types: tuple[str, ...], layout: str) -> None:
    space = block_space(*types)
    manager = ArchManager(space)
    net = randomised(PoseNet(space, "coco17"))
    net.to(memory_format=getattr(torch, layout))
    rng = np.random.default_rng(0)
    for arch in (manager.smallest(), manager.largest(), *(manager.sample(rng) for _ in range(6))):
        assert_transfer_is_exact(net, arch, layout)


@pytest.mark.slow
@pytest.mark.parametrize("types", MIXTURES, ids="-".join)
def test_transfer_of_many_archs_is_exact(types: tuple[str, ...]) -> None:
    space = block_space(*types, activation=["relu", "relu6", "silu", "hardswish"], kernel=[3, 5, 7])
    net = randomised(PoseNet(space, "crowdpose14"))
    rng = np.random.default_rng(1)
    for _ in range(100):
        assert_transfer_is_exact(net, ArchManager(space).sample(rng))


@pytest.mark.parametrize("block_type", ALL_TYPES)
def test_every_choice_of_a_stage_changes_its_output(block_type: str) -> None:
    """A dimension that is active has a meaning: no two networks that differ in one are the same."""
    space = block_space(block_type, depth=2)
    manager = ArchManager(space)
    net = randomised(PoseNet(space, "coco17")).train()
    arch = manager.largest()
    indices = manager.encode(arch)
    x = images(arch, batch=4)
    elastic = [d.name for d in space.dimensions if d.elastic and d.name.startswith("stages.")]
    archs = [arch, *(manager.decode(indices | {name: 0}) for name in elastic if name in indices)]
    assert len(archs) > 2
    with torch.no_grad():
        found = [next(iter(net(x, arch).values())) for arch in archs]
    for number, one in enumerate(found):
        assert not any(torch.equal(one, other) for other in found[:number])


def _stages(stem: int, block_type: str, *sizes: tuple[int, int]) -> PoseNet:
    """A network of these (width, depth) that all halve the resolution, behind a stem of that width."""
    first = block_space(block_type)
    data = first.to_json() | {
        "stem": {"width": stem, "activation": "relu"},
        "stages": [stage_data(block_type, width=width, depth=depth, kernel=3) for width, depth in sizes],
        "necks": {"none": {}},
        "heads": {"simcc": {}},
    }
    return PoseNet(SearchSpace.from_json(data), "coco17")


def test_published_size_of_shufflenet() -> None:
    """x0.5 has 1,366,792 parameters (torchvision), stem, last convolution and classifier included."""
    net = _stages(24, "shuffle", (48, 4), (96, 8), (192, 4))
    others = (3 * 9 + 2) * 24 + (192 + 2) * 1024 + (1024 + 1) * 1000
    assert sum(p.numel() for p in net.stages.parameters()) + others == 1_366_792


def test_a_narrow_shuffle_unit_is_a_part_of_a_wide_one() -> None:
    x = torch.randn(2, 48, 3, 2)
    for width in (8, 16, 24, 48):
        for whole, part in zip(split_channels(x), split_channels(x[:, :width]), strict=True):
            assert torch.equal(part, whole[:, : width // 2])
        first, second = split_channels(x)
        shuffled = shuffle_channels(first[:, : width // 2], second[:, : width // 2])
        assert torch.equal(shuffled, shuffle_channels(first, second)[:, :width])


def test_shuffle_units_lose_and_repeat_no_channel() -> None:
    x = torch.arange(32.0).reshape(1, 32, 1, 1)
    passed, changed = split_channels(x)
    assert sorted(torch.cat([passed, changed], dim=1).flatten().tolist()) == list(range(32))
    shuffled = shuffle_channels(changed, passed).flatten().tolist()
    assert shuffled[0::2] == changed.flatten().tolist()
    assert shuffled[1::2] == passed.flatten().tolist()


def test_no_channel_passes_every_shuffle_unit() -> None:
    """A half of the channels is new in every unit; after four units nothing of the input is left."""
    x, left = torch.ones(1, 64, 1, 1), []
    for _ in range(4):
        passed, changed = split_channels(x)
        x = shuffle_channels(torch.zeros_like(changed), passed)
        left.append(int(x.sum()))
    assert left[0] == 32
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0
