"""Networks with regression heads: elastic, transferred, traced, exported; the flow stays behind."""

from itertools import product
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from nas.graph import Tracer, complexity, export_onnx, sort_channels
from nas.models import PoseNet, calibrate, load_weights, save_weights, to_input, transfer
from nas.space import Arch, ArchManager, SearchSpace

HEADS = ("regression", "rle")
SKELETONS = ("crowdpose14", "coco17")


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    """The demo's body, four heads, and every kind of regression head, on necks of all kinds."""
    data = SearchSpace.load("demo").to_json()
    data["necks"]["pan"] = {"widths": [[16, 24], [16, 24]]}
    options = {"bone": [0.0, 1.0], "dropout": [0.0, 0.2]}
    data["heads"] |= {
        "regression": {"options": options | {"score": ["none", "bce"]}},
        "rle": {
            "options": options | {"score": ["sigma", "quality_focal"], "maps": ["shared", "separate"]},
        },
    }
    return SearchSpace.from_json(data)


@pytest.fixture(scope="module")
def net(space: SearchSpace) -> PoseNet:
    torch.manual_seed(0)
    net = PoseNet(space, "crowdpose14")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return net.eval()


def images(arch: Arch, seed: int = 0) -> Tensor:
    return torch.randn(2, 3, *arch.resolution, generator=torch.Generator().manual_seed(seed))


def test_transfer_is_exact_at_every_resolution_and_keeps_the_flow(space: SearchSpace, net: PoseNet) -> None:
    rng = np.random.default_rng(0)
    for head, resolution, _ in product(HEADS, space.resolutions, range(6)):
        arch = ArchManager(space).sample(rng, head=head, resolution=resolution)
        stats = calibrate(net, arch, images(arch, seed=1))
        plain = transfer(net, arch, stats)
        with torch.no_grad():
            expected, found = net(images(arch), arch, stats), plain(images(arch))
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            assert torch.equal(value, found[name]), name
        if head == "rle":
            ours, theirs = net.head(arch).flow.state_dict(), plain.head().flow.state_dict()
            assert all(torch.equal(ours[name], theirs[name]) for name in ours | theirs)


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_the_flow_is_no_part_of_the_deployed_network(space: SearchSpace, skeleton: str) -> None:
    """Counted are the parameters that are run, sliced as they are; the graph names none of the flow."""
    rng = np.random.default_rng(1)
    for head in HEADS * 4:
        arch = ArchManager(space).sample(rng, head=head)
        network = PoseNet(arch, skeleton)
        flow = sum(p.numel() for name, p in network.named_parameters() if ".flow." in name)
        assert (flow > 0) == (head == "rle")
        total = sum(p.numel() for p in network.parameters())
        assert complexity(arch, skeleton).params == total - flow
        assert complexity(arch, skeleton, space=space).params == total - flow
        assert not any(".flow" in operator.scope for operator in Tracer(arch, skeleton)(arch).operators)


def test_a_weights_file_is_enough(space: SearchSpace, net: PoseNet, tmp_path: Path) -> None:
    arch = ArchManager(space).largest(head="rle")
    plain = transfer(net, arch, calibrate(net, arch, images(arch)))
    save_weights(tmp_path / "net.safetensors", plain)
    loaded = load_weights(tmp_path / "net.safetensors")
    with torch.no_grad():
        for name, value in plain(images(arch)).items():
            assert torch.equal(value, loaded(images(arch))[name])
    assert torch.equal(plain.head().flow(torch.ones(3, 2)), loaded.head().flow(torch.ones(3, 2)))


def test_every_parameter_that_is_used_learns(space: SearchSpace) -> None:
    """Labels reach the flow, the score branch and the separate maps; heads that are not drawn stay out."""
    net = PoseNet(space, "crowdpose14").train()
    arch = ArchManager(space).largest(head="rle")
    joints = net.head(arch).keypoints
    outputs = net(images(arch), arch)
    targets = {
        "xy": torch.rand(2, joints, 2) - 0.5,
        "weights": torch.ones(2, joints),
        "gamma": torch.ones(2),
        "limb_weights": torch.ones(2, len(net.skeleton.limbs)),
        "focus": torch.full((2,), 2.0),
        "areas": torch.full((2,), 2000.0),
    }
    sum(net.head(arch).loss(outputs, targets).values()).backward()
    prefix = f"heads.{arch.neck.type}."
    silent = {
        name for name, p in net.named_parameters() if p.grad is None and name.startswith(f"{prefix}rle.")
    }
    assert not silent
    assert all(
        p.grad is None for name, p in net.named_parameters() if name.startswith(f"{prefix}regression.")
    )


def test_channels_can_be_sorted(space: SearchSpace) -> None:
    """The pooled channels move with those of the backbone; the largest networks compute the same."""
    torch.manual_seed(0)
    net = PoseNet(space, "crowdpose14").eval()
    archs = [ArchManager(space).largest(head=head) for head in HEADS]
    stats = [calibrate(net, arch, images(arch, seed=1)) for arch in archs]
    with torch.no_grad():
        before = [net(images(arch), arch, s) for arch, s in zip(archs, stats, strict=True)]
        orders = sort_channels(net)
        stats = [calibrate(net, arch, images(arch, seed=1)) for arch in archs]
        after = [net(images(arch), arch, s) for arch, s in zip(archs, stats, strict=True)]
    assert any(".rle." in name or "stages.3" in name for name in orders)
    for old, new in zip(before, after, strict=True):
        for name, value in old.items():
            torch.testing.assert_close(new[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", ["smallest", "largest"])
def test_onnx_gives_the_pixels_of_torch_on_photographs(
    head: str, kind: str, space: SearchSpace, net: PoseNet, shared_data: Path, tmp_path: Path
) -> None:
    arch = getattr(ArchManager(space), kind)(head=head)
    photographs = sorted((shared_data / "lsp" / "images").glob("*.jpg"))[:4]
    height, width = arch.resolution
    crops = [cv2.resize(cv2.imread(str(path))[..., ::-1], (width, height)) for path in photographs]
    batch = to_input(torch.from_numpy(np.stack(crops))).contiguous()
    plain = transfer(net, arch, calibrate(net, arch, batch))
    export_onnx(plain, tmp_path / "net.onnx", images=batch)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for image in batch.split(1):
        with torch.no_grad():
            expected = plain.decode(plain(image))
        found = dict(zip(names, session.run(None, {"images": image.numpy()}), strict=True))
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value.numpy(), rtol=0, atol=1e-4)
