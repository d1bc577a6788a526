"""The part affinity head as ONNX: decode on crowds, whole networks on photographs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.codecs.affine import image_affine, warp_image
from nas.codecs.limb_sets import LIMB_SETS
from nas.codecs.part_affinity import PartAffinityCodec
from nas.codecs.types import People
from nas.graph import Tracer, complexity, export_onnx, to_onnx
from nas.heads import HeadPlace, Level
from nas.heads.part_affinity import PartAffinityHead
from nas.models import to_input
from nas.runtime import read_image
from nas.space.arch import Arch, Block, Head, Neck, Stage, Stem
from nas.space.options import freeze_options
from nas.space.parts import part
from nas.space.skeleton import Skeleton
from nas.space.specs import HeadSpec

RESOLUTION = (128, 160)


def network(refinement: int, limbs: str = "skeleton") -> Arch:
    stages = tuple(Stage("mbconv", "relu", 2, width, (Block(3, 2),)) for width in (16, 24))
    options = part(HeadSpec, "part_affinity").complete(
        {"refinement": refinement, "width": 16, "limbs": limbs}
    )
    head = Head("part_affinity", freeze_options(options))
    return Arch(RESOLUTION, Stem(8, "relu"), stages, Neck(), head)


@pytest.mark.parametrize("count", [0, 1, 12])
@pytest.mark.parametrize("limbs", LIMB_SETS)
def test_decode_of_people_agrees_with_torch(count: int, limbs: str, run_function) -> None:
    skeleton = Skeleton.load("crowdpose14")
    options = dict(network(0, limbs).head.options)
    choices = {name: (value,) for name, value in options.items()}
    head = PartAffinityHead(HeadPlace((Level(16, None, 8),), skeleton, (RESOLUTION,), choices))
    codec = PartAffinityCodec(skeleton, RESOLUTION, options, stride=8)
    places = np.random.default_rng(count).uniform(
        0, [RESOLUTION[1] - 1, RESOLUTION[0] - 1, 3], (count, 14, 3)
    )
    encoded = codec.encode(People(places, np.ones(count), np.zeros((count, 4))))
    maps = torch.from_numpy(np.concatenate([encoded["heatmaps"], encoded["affinities"]]))[None]

    def decode(x: Tensor) -> tuple[Tensor, Tensor]:
        found = head.decode({"heatmaps": x[:, :15], "affinities": x[:, 15:]}, network(0).head)
        return found["candidates"], found["affinities"]

    maps = maps + 1e-3 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(0))
    _, outputs = run_function(decode, maps)
    candidates, affinities = decode(maps)
    assert bool((candidates[..., 2] > 0).any()) == (count > 0)
    np.testing.assert_allclose(outputs["out0"], candidates.numpy(), rtol=0, atol=1e-4)
    np.testing.assert_allclose(outputs["out1"], affinities.numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("refinement", "limbs"), [(0, "skeleton"), (1, "bridged"), (2, "skeleton")])
def test_networks_agree_with_torch_on_photographs(
    refinement: int, limbs: str, shared_data: Path, tmp_path: Path, calibrated_net, run_onnx
) -> None:
    files = sorted((shared_data / "coco_mini" / "images").rglob("*.jpg"))[:3]
    pixels = [read_image(file) for file in files]
    inputs = np.stack(
        [warp_image(image, image_affine(image.shape[:2], RESOLUTION), RESOLUTION) for image in pixels]
    )
    images = to_input(torch.from_numpy(inputs))
    arch = network(refinement, limbs)
    net = calibrated_net(arch)
    with torch.no_grad():  # as far as a trained network's maps range, so that there are peaks
        for name, parameter in net.named_parameters():
            if "branches.last" in name and name.endswith("weight"):
                parameter.mul_(100)
    export_onnx(net, tmp_path / "net.onnx", images=images)
    model = to_onnx(Tracer.of(net)(arch), net, raw=True)
    for image in images:
        outputs = run_onnx(model, image[None])
        raw = {
            name[4:]: torch.from_numpy(value) for name, value in outputs.items() if name.startswith("raw.")
        }
        with torch.no_grad():
            expected, decoded = net(image[None]), net.decode(raw)
        for name, value in expected.items():
            np.testing.assert_allclose(
                raw[name].numpy(), value.numpy(), rtol=0, atol=1e-4 * value.abs().max().item()
            )
        assert (decoded["candidates"][..., 2] > 0).sum() > 20
        assert (decoded["affinities"] > 0).any()
        np.testing.assert_allclose(outputs["candidates"], decoded["candidates"].numpy(), rtol=0, atol=1e-4)
        np.testing.assert_allclose(outputs["affinities"], decoded["affinities"].numpy(), rtol=0, atol=1e-4)


def test_each_refinement_adds_what_its_layers_cost() -> None:
    """Per cell: from features and 15 + 28 maps to the width; blocks of 1x1, 3x3 and 3x3; two branches."""
    sizes = [complexity(network(refinement), "crowdpose14") for refinement in (0, 1, 2)]
    width, maps, cells = 16, 15 + 2 * 14, RESOLUTION[0] * RESOLUTION[1] // 64
    weights = (width + maps) * width + 4 * width**2 + 10 * 9 * width**2 + 2 * width**2 + maps * width
    assert sizes[1].macs - sizes[0].macs == sizes[2].macs - sizes[1].macs == weights * cells
    norms = 2 * width * (1 + 4 + 10 + 2)
    assert sizes[1].params - sizes[0].params == sizes[2].params - sizes[1].params == weights + norms + maps
