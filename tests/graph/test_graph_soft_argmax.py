"""Networks with integral and DSNT heads: exact transfer out of one supernet, ONNX equal to torch."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch

from nas.codecs.affine import image_affine, warp_image
from nas.graph import Tracer, to_onnx
from nas.models import PoseNet, calibrate, to_input, transfer
from nas.space import ArchManager, SearchSpace, SpaceSpec

STAGE = {"type": "mbconv", "activation": "relu", "depth": [1, 2], "kernel": [3, 5], "expansion": 2}
DATA: dict[str, Any] = {
    "name": "soft-argmax",
    "task": "crop",
    "resolution": [[64, 48], [96, 64], [128, 96]],
    "stem": {"width": 8, "activation": "relu"},
    "stages": [{**STAGE, "stride": stride, "width": [8, 16]} for stride in (2, 2, 2)],
    "necks": {
        "none": {},
        "fusion_deconv": {"upsampler": "nearest_dw", "widths": [[8, 16], [8]]},
        "fpn": {"widths": [[8, 16], 8]},
    },
    "heads": {
        "integral": {
            "options": {
                "beta": [1.0, 15.0],
                "debias": [False, True],
                "deconvolutions": [0, 1, 2],
                "width": [8, 16],
            }
        },
        "dsnt": {"options": {"deconvolutions": [0, 2], "width": [8, 16]}},
    },
}


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace(SpaceSpec.read(DATA, "soft-argmax.yaml"))


@pytest.fixture(scope="module")
def net(space: SearchSpace) -> PoseNet:
    torch.manual_seed(0)
    net = PoseNet(space, "mpii16").eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.05)
    return net


@pytest.fixture(scope="module")
def photographs(shared_data) -> list[np.ndarray]:
    paths = sorted((shared_data / "lsp" / "images").rglob("*.jpg"))[:4]
    return [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]


def inputs(photographs, resolution) -> torch.Tensor:
    images = [warp_image(p, image_affine(p.shape[:2], resolution), resolution) for p in photographs]
    return to_input(torch.from_numpy(np.stack(images)))


@pytest.mark.parametrize("head", ["integral", "dsnt"])
@pytest.mark.parametrize("resolution", [(64, 48), (96, 64), (128, 96)])
def test_transfer_is_exact_and_onnx_is_torch(head, resolution, space, net, photographs, run_onnx) -> None:
    rng = np.random.default_rng(resolution)
    x = inputs(photographs, resolution)
    tracer = Tracer.of(net)
    for _ in range(4):
        arch = ArchManager(space).sample(rng, head=head, resolution=resolution)
        stats = calibrate(net, arch, x)
        plain = transfer(net, arch, stats)
        graph = tracer(arch)
        with torch.no_grad():
            outputs, own = net(x, arch, stats), plain(x)
            found = run_onnx(to_onnx(graph, net, stats=stats, raw=True), x[:1])
            raw = {"probabilities": torch.from_numpy(found.pop("raw.probabilities"))}
            expected, whole = plain.decode(raw, arch), plain.decode(plain(x[:1]))
        assert torch.equal(outputs["probabilities"], own["probabilities"])
        for name, value in expected.items():
            assert value.isfinite().all()
            np.testing.assert_allclose(found[name], value.numpy(), rtol=0, atol=1e-4)
            # The random network's own rounding, 15 times as large in the logits for beta 15.
            np.testing.assert_allclose(found[name], whole[name].numpy(), rtol=0, atol=1e-3)
