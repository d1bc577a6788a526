"""Skeletons of one joint, or two, with every head: they work, or are refused where they are put together."""

import numpy as np
import pytest
import torch
from head_samples import SHIPPED_HEADS, small_arch

from nas.codecs.build import codec_of
from nas.codecs.types import People
from nas.errors import UserError
from nas.graph import export_onnx
from nas.models import PoseNet, calibrate
from nas.space.arch import Arch, Head
from nas.space.options import freeze_options
from nas.space.parts import part
from nas.space.skeleton import Skeleton
from nas.space.specs import HeadSpec

ONE = Skeleton(name="one", keypoints=("stem",), flip_pairs=(), sigmas=(0.05,))
TWO = Skeleton(name="two", keypoints=("stem", "tip"), flip_pairs=(), sigmas=(0.05, 0.05))
LIMB = Skeleton(
    name="limb", keypoints=("stem", "tip"), flip_pairs=(), sigmas=(0.05, 0.05), limbs=(("stem", "tip"),)
)
RESOLUTION = (64, 96)
PLACES = np.array([[30.0, 22.0, 2.0], [61.0, 40.0, 2.0]])


def somebody(skeleton: Skeleton) -> People:
    keypoints = PLACES[None, : len(skeleton)]
    return People(keypoints, np.array([900.0]), np.array([[20.0, 10.0, 75.0, 55.0]]))


def with_options(arch: Arch, **options: object) -> Arch:
    head = Head(arch.head.type, freeze_options(part(HeadSpec, arch.head.type).complete(options)))
    return Arch(arch.resolution, arch.stem, arch.stages, arch.neck, head)


def targets_of(arch: Arch, skeleton: Skeleton) -> dict[str, torch.Tensor]:
    encoded = codec_of(arch, skeleton).encode(somebody(skeleton))
    return {name: torch.from_numpy(np.asarray(array))[None] for name, array in encoded.items()}


CASES = [
    pytest.param(
        head, skeleton, marks=[] if skeleton is fast else pytest.mark.slow, id=f"{head}-{skeleton.name}"
    )
    for head in SHIPPED_HEADS
    for fast in [LIMB if head == "part_affinity" else ONE]
    for skeleton in (ONE, TWO, LIMB)
    if head != "part_affinity" or skeleton.limbs
]


@pytest.mark.parametrize(("head", "skeleton"), CASES)
def test_targets_loss_flip_decode_and_export(head: str, skeleton: Skeleton, tmp_path) -> None:
    torch.manual_seed(0)
    arch = small_arch(head, RESOLUTION)
    net = PoseNet(arch, skeleton).train()
    images = torch.randn(1, 3, *RESOLUTION)
    outputs = net(images)
    terms = net.head().loss(outputs, targets_of(arch, skeleton))
    total = torch.stack(list(terms.values())).sum() + net.head().distill(outputs, outputs)
    total.backward()
    assert torch.isfinite(total)
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in net.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in net.head().parameters())
    stats = calibrate(net, arch, [torch.randn(2, 3, *RESOLUTION)])
    # Compares network, decode and onnxruntime, and raises where they differ.
    export_onnx(net, tmp_path / "net.onnx", stats=stats)
    with torch.no_grad():
        plain = net.eval()(images, arch, stats)
        merged = net.head().merge_flip(plain, net(images.flip(3), arch, stats), skeleton.flip_index)
        decoded = net.decode(merged)
    poses = codec_of(arch, skeleton).group({name: value[0].numpy() for name, value in decoded.items()})
    assert poses.keypoints.shape[1:] == (len(skeleton), 3)


@pytest.mark.slow
@pytest.mark.parametrize(("head", "skeleton"), CASES)
def test_one_picture_is_learned(head: str, skeleton: Skeleton) -> None:
    """What decode and grouping give for the learned picture lies where the joints are."""
    torch.manual_seed(0)
    arch = small_arch(head, RESOLUTION)
    net = PoseNet(arch, skeleton).train()
    images = torch.randn(2, 3, *RESOLUTION)
    targets = {name: torch.cat([value, value]) for name, value in targets_of(arch, skeleton).items()}
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        torch.stack(list(net.head().loss(net(images), targets).values())).sum().backward()
        optimizer.step()
    with torch.no_grad():
        decoded = net.decode(net(images, arch))
    poses = codec_of(arch, skeleton).group({name: value[0].numpy() for name, value in decoded.items()})
    best = poses.keypoints[poses.scores.argmax()]
    assert np.abs(best[:, :2] - PLACES[: len(skeleton), :2]).max() < 4


@pytest.mark.parametrize("skeleton", [ONE, TWO], ids=lambda value: value.name)
def test_part_affinity_says_that_it_needs_limbs(skeleton: Skeleton) -> None:
    arch = small_arch("part_affinity", RESOLUTION)
    for build in (PoseNet, codec_of):
        with pytest.raises(UserError, match="names no limbs; the part_affinity head"):
            build(arch, skeleton)


def test_part_affinity_finds_people_of_two_joints() -> None:
    """By default a pose has three joints or more, or all."""
    codec = codec_of(small_arch("part_affinity", RESOLUTION), LIMB)
    poses = codec.group(codec.decode_maps(codec.encode(somebody(LIMB))))
    assert np.abs(poses.keypoints[:, :, :2] - PLACES[None, :, :2]).max() < 0.2


@pytest.mark.parametrize("head", ["regression", "rle"])
def test_bones_need_limbs_from_the_start(head: str) -> None:
    """Not first in a worker that encodes a sample."""
    arch = with_options(small_arch(head, RESOLUTION), bone=1.0)
    with pytest.raises(UserError, match="'bone': skeleton 'one' names no limbs"):
        PoseNet(arch, ONE)
    PoseNet(arch, LIMB)
