"""Networks with the dense head: transfer, ONNX, photographs, learning."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from dense_samples import BRANCH, DECODES, NOBODY, SKELETON, people, targets_of

from nas.codecs.affine import image_affine, warp_image
from nas.codecs.build import codec_of
from nas.codecs.dense import BOX, DenseCodec
from nas.graph import Tracer, to_onnx
from nas.models import PoseNet, calibrate, to_input, transfer
from nas.runtime import read_image
from nas.space import ArchManager, SearchSpace
from nas.space.arch import Arch
from nas.space.spec import SpaceSpec


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    stage = {"type": "mbconv", "activation": "relu6", "kernel": [3, 5], "expansion": [2, 4]}
    return SearchSpace(
        SpaceSpec.read(
            {
                "name": "dense-test",
                "task": "image",
                "resolution": [64, 128, 192],
                "stem": {"width": [8, 16], "activation": "relu6"},
                "stages": [
                    {**stage, "stride": 2, "width": [8, 16], "depth": [1, 2]},
                    {**stage, "stride": 2, "width": [16, 24], "depth": [1, 2]},
                    {**stage, "stride": 2, "width": [16, 32], "depth": [1, 2]},
                    {**stage, "stride": 2, "width": [16, 32], "depth": [1]},
                ],
                "necks": {
                    "pan": {"coarser": 1, "widths": [[8, 16], [8, 24], 16, [8, 16]]},
                    "fpn": {"widths": [[8, 16], 16, 24]},
                    "fusion_deconv": {"upsampler": "nearest_dw", "widths": [[8, 16], [8, 24]]},
                },
                "heads": {"dense": {"options": {"decode": ["nms", "one_to_one"]}}},
            },
            "dense-test",
        )
    )


@pytest.fixture(scope="module")
def supernet(space: SearchSpace) -> PoseNet:
    torch.manual_seed(0)
    net = PoseNet(space, "mpii16")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return net.eval()


def archs(space: SearchSpace) -> list[Arch]:
    rng = np.random.default_rng(0)
    drawn = [
        ArchManager(space).sample(rng, resolution=resolution)
        for resolution in space.resolutions
        for _ in range(6)
    ]
    return [
        next(a for a in drawn if a.resolution == size and a.head.option("decode") == decode)
        for size in space.resolutions
        for decode in DECODES
    ]


def test_transfer_is_exact_and_keeps_both_branches(space: SearchSpace, supernet: PoseNet) -> None:
    for arch in archs(space):
        stats = calibrate(supernet, arch, torch.randn(2, 3, *arch.resolution))
        images = torch.randn(2, 3, *arch.resolution)
        plain = transfer(supernet, arch, stats)
        with torch.no_grad():
            expected, actual = supernet(images, arch, stats), plain(images)
        branch = BRANCH[str(arch.head.option("decode"))]
        assert {name.split("_")[0] for name in expected} == {branch}
        assert all(torch.equal(part, actual[name]) for name, part in expected.items())
        both = {"many", branch}
        assert {name.split("_")[0] for name in plain.train()(images)} == both
        towers = [name for name in plain.state_dict() if ".branches." in name]
        assert {name.split(".branches.")[1].split(".")[0] for name in towers} == both


def test_exported_network_gives_the_same_poses(space: SearchSpace, supernet: PoseNet) -> None:
    for arch in archs(space):
        stats = calibrate(supernet, arch, torch.randn(2, 3, *arch.resolution))
        plain = transfer(supernet, arch, stats)
        graph = Tracer.of(plain)(arch)
        tower = sum(p.numel() for name, p in plain.named_parameters() if ".branches.many" in name)
        idle = tower if arch.head.option("decode") == "one_to_one" else 0
        assert graph.params == sum(p.numel() for p in plain.parameters()) - idle
        model = to_onnx(graph, plain)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        image = torch.randn(1, 3, *arch.resolution)
        with torch.no_grad():
            expected = plain.decode(plain(image))
        names = [output.name for output in session.get_outputs()]
        found = dict(zip(names, session.run(None, {"images": image.numpy()}), strict=True))
        assert expected["scores"].gt(0).any()
        for name, part in expected.items():
            np.testing.assert_allclose(found[name], part.numpy(), atol=1e-3, rtol=1e-4, err_msg=name)


def test_every_arch_of_a_space_learns(space: SearchSpace) -> None:
    """One step of loss and distillation, as supernet training takes it, reaches all active parameters."""
    manager = ArchManager(space)
    net, rng = PoseNet(space, SKELETON), np.random.default_rng(0)
    largest = manager.largest(resolution=(128, 128))
    for arch in (largest, manager.smallest(resolution=(128, 128))):
        images = torch.randn(2, 3, *arch.resolution)
        codec = codec_of(arch, SKELETON)
        assert isinstance(codec, DenseCodec)
        teacher = {name: part.detach() for name, part in net.train()(images, largest).items()}
        outputs = net(images, arch)
        loss = sum(net.head(arch).loss(outputs, targets_of(codec, people(rng, 3), NOBODY)).values())
        loss = loss + net.head(arch).distill(outputs, teacher)
        net.zero_grad()
        loss.backward()
        assert torch.isfinite(loss)
        for name in dict(PoseNet(arch, SKELETON).named_parameters()):
            assert net.get_parameter(name).grad is not None, name


@pytest.mark.parametrize("decode", DECODES)
@pytest.mark.parametrize("neck", ["pan", "fpn", "fusion_deconv"])
def test_photographs_give_the_same_poses_in_onnx(
    shared_data: Path, space: SearchSpace, supernet: PoseNet, neck: str, decode: str
) -> None:
    """Positions within 1e-4 px of what torch decodes from the same maps."""
    rng = np.random.default_rng(1)
    arch = next(
        arch
        for arch in (ArchManager(space).sample(rng, resolution=(192, 192)) for _ in range(200))
        if (arch.neck.type, arch.head.option("decode")) == (neck, decode)
    )
    files = sorted((shared_data / "coco_mini" / "images").glob("*.jpg"))[:5]
    pictures = [read_image(file) for file in files]
    images = to_input(
        torch.from_numpy(
            np.stack(
                [
                    warp_image(picture, image_affine(picture.shape[:2], arch.resolution), arch.resolution)
                    for picture in pictures
                ]
            )
        )
    )
    plain = transfer(supernet, arch, calibrate(supernet, arch, images))
    with torch.no_grad():  # so that people are seen
        for tower in plain.head().branches[BRANCH[decode]].values():
            for weight in tower.box.last_weights():
                weight[BOX - 1].mul_(15)
            for weight in tower.keypoints.last_weights():
                weight.mul_(4)
    model = to_onnx(Tracer.of(plain)(arch), plain, raw=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for image in images.split(1):
        found = dict(zip(names, session.run(None, {"images": image.numpy()}), strict=True))
        raw = {name[4:]: torch.from_numpy(part) for name, part in found.items() if name.startswith("raw.")}
        with torch.no_grad():
            expected, decoded = plain(image), plain.decode(raw)
        for name, part in expected.items():
            np.testing.assert_allclose(raw[name].numpy(), part.numpy(), rtol=0, atol=1e-4 * part.abs().max())
        assert (decoded["scores"] > 0).sum() > 3
        assert (decoded["keypoints"][..., 2] > 0).any()
        for name, part in decoded.items():
            np.testing.assert_allclose(found[name], part.numpy(), rtol=0, atol=1e-4, err_msg=name)
