"""Torch heads against the codecs' reference decode, and the torch model as validation sees it."""

import numpy as np
import pytest
import torch
from head_samples import SHIPPED_HEADS, small_arch

from nas.codecs.build import codec_of
from nas.codecs.normalise import normalise
from nas.evaluate.torch_model import TorchModel
from nas.models import PoseNet, StatisticsMissingError, calibrate, transfer
from nas.space.parts import part
from nas.space.specs import HeadSpec


@pytest.fixture(scope="module", params=SHIPPED_HEADS)
def net(request):
    torch.manual_seed(0)
    arch = small_arch(request.param)
    net = PoseNet(arch, "coco17")
    images = torch.randn(4, 3, *arch.resolution, generator=torch.Generator().manual_seed(1))
    return transfer(net, arch, calibrate(net, arch, [images]))


@pytest.fixture(scope="module")
def images(net):
    return np.random.default_rng(2).integers(0, 256, (3, *net.arch.resolution, 3), np.uint8)


def test_decode_equals_the_codecs_reference(net, images):
    codec = codec_of(net.arch, net.skeleton)
    net.eval()
    with torch.no_grad():
        outputs = net(torch.from_numpy(normalise(images)), net.arch)
        generator = torch.Generator().manual_seed(3)
        noisy = {
            name: tensor.double() + 3 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            for name, tensor in outputs.items()
            if len(tensor) == len(images)  # others describe the input
        }
        decoded = net.decode(outputs | noisy, net.arch)
    for index in range(len(images)):
        reference = codec.decode_maps({name: tensor[index].numpy() for name, tensor in noisy.items()})
        assert set(reference) == set(decoded)
        for name, expected in reference.items():
            found = decoded[name][index].numpy()
            if name == "candidates":
                positive = expected[..., 2] > 0
                found, expected = found[positive], expected[positive]
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=name)


def test_model_shows_what_validation_needs(net, images):
    model = TorchModel(net)
    assert model.skeleton is net.skeleton
    assert model.resolution == (64, 96)
    assert model.task == part(HeadSpec, net.arch.head.type).task
    found = model.candidates(images)
    assert len(found) == 3
    alone = model.candidates(images[1:2])[0]
    for name, array in alone.items():
        np.testing.assert_allclose(found[1][name], array, atol=1e-3)
    poses = model.codec.group(found[0])
    assert poses.keypoints.shape[1:] == (17, 3)


def test_flip_test_is_symmetric(net, images):
    """With the flip test, the mirrored image gives the mirrored poses."""
    model = TorchModel(net, flip=True)
    plain = model.candidates(images[:1])[0]
    mirrored = model.candidates(images[:1, :, ::-1])[0]
    flip = list(net.skeleton.flip_index)
    if "heatmap" in plain:
        np.testing.assert_allclose(mirrored["heatmap"][flip][..., ::-1], plain["heatmap"], atol=1e-4)
        assert plain["tag_map"].shape[-1] == 2
        return
    name, expected = (
        ("candidates", plain["candidates"][flip].copy())
        if "candidates" in plain
        else ("keypoints", plain["keypoints"][:, flip].copy())
    )
    padding = (expected == 0).all(-1)
    expected[..., 0] = np.where(padding, 0, net.arch.resolution[1] - 1 - expected[..., 0])
    np.testing.assert_allclose(mirrored[name], expected, atol=1e-4)


def test_mode_is_left_as_it_was(net, images):
    for training in (True, False):
        net.train(training)
        TorchModel(net).candidates(images[:1])
        assert net.training is training


def test_scoring_without_statistics_is_refused(images):
    arch = small_arch("heatmap")
    with pytest.raises(StatisticsMissingError):
        TorchModel(PoseNet(arch, "coco17")).candidates(images)
