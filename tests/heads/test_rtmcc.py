"""RTMPose's head: loss and formula against float64, elastic resolution, transfer, graph and ONNX."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import torch
from torch import Tensor

from nas.codecs.rtmcc import RTMCCCodec
from nas.codecs.types import People
from nas.data import KeypointDataset, SampleRequest, load_annotations
from nas.graph import Tracer, complexity, export_onnx, to_onnx
from nas.heads import HeadPlace, Level
from nas.heads.rtmcc import RTMCCHead
from nas.layers import Context
from nas.models import PoseNet, calibrate, to_input, transfer
from nas.space import Arch, ArchManager, Head, SearchSpace, Skeleton
from nas.space.options import freeze_options

SKELETON = Skeleton.load("crowdpose14")
RESOLUTIONS = ((96, 64), (96, 96), (128, 96))
STRIDE = 16


def rtmcc_space() -> SearchSpace:
    """The demo's bodies under this head, every option with a choice."""
    data = SearchSpace.load("demo").to_json()
    options = {"hidden": [64, 128], "split": [1, 2]}
    heads = {"rtmcc": {"neck": ["none", "fusion_deconv"], "options": options}, "simcc": {"neck": "none"}}
    return SearchSpace.from_json({**data, "name": "rtmcc", "resolution": RESOLUTIONS, "heads": heads})


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return rtmcc_space()


@pytest.fixture(scope="module")
def net(space: SearchSpace) -> PoseNet:
    """A supernet with every parameter away from its start."""
    generator = torch.Generator().manual_seed(0)
    net = PoseNet(space, SKELETON)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return net.eval()


def build(
    hidden: tuple[int, ...] = (64,), split: int = 2, resolutions: tuple[tuple[int, int], ...] = RESOLUTIONS
) -> RTMCCHead:
    return RTMCCHead(
        HeadPlace((Level(16, None, STRIDE),), SKELETON, resolutions, {"hidden": hidden, "split": (split,)})
    )


def arch_of(hidden: int = 64, split: int = 2) -> Head:
    return Head("rtmcc", freeze_options({"hidden": hidden, "split": split}))


def person(size: tuple[int, int] = RESOLUTIONS[0], seed: int = 0) -> People:
    rng = np.random.default_rng(seed)
    xy = rng.uniform([2, 2], [size[1] - 3, size[0] - 3], (14, 2))
    keypoints = np.concatenate([xy, np.full((14, 1), 2.0)], axis=1)[None]
    return People(keypoints, np.array([3000.0]), np.array([[0.0, 0.0, 63.0, 95.0]]))


def targets_of(people: People, size: tuple[int, int] = RESOLUTIONS[0]) -> dict[str, Tensor]:
    encoded = RTMCCCodec(SKELETON, size, {"split": 2}).encode(people)
    return {name: torch.from_numpy(array)[None] for name, array in encoded.items()}


def vectors(targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {axis: targets[axis].clone() for axis in ("x", "y")}


def test_loss_is_the_divergence_at_temperature_ten() -> None:
    head, people = build(), person()
    people.keypoints[0, 3, 2] = 0
    targets = targets_of(people)
    outputs = {axis: torch.randn_like(target) for axis, target in vectors(targets).items()}
    for axis, term in head.loss(outputs, targets).items():
        label = scipy.special.softmax(10 * targets[axis][0].double().numpy(), axis=1)
        found = scipy.special.softmax(10 * outputs[axis][0].double().numpy(), axis=1)
        divergence = scipy.special.rel_entr(label, found).sum(axis=1)
        weights = targets["weights"][0].numpy()
        assert term.item() == pytest.approx((divergence * weights).sum() / 13, rel=1e-5)


def test_loss_gradient() -> None:
    head, targets = build(), {name: value.double() for name, value in targets_of(person()).items()}
    inputs = [torch.randn(1, 14, bins, dtype=torch.float64, requires_grad=True) for bins in (128, 192)]

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return torch.stack(list(head.loss({"x": x, "y": y}, targets).values())).sum()

    assert torch.autograd.gradcheck(loss, inputs, fast_mode=True)


def test_perfect_outputs_cost_nothing() -> None:
    """The targets themselves, and these with a constant added to all bins."""
    head, targets = build(), targets_of(person())
    perfect = {axis: target + 0.2 for axis, target in vectors(targets).items()}
    worse = {axis: value + 0.1 * torch.randn_like(value) for axis, value in perfect.items()}
    assert float(sum(head.loss(perfect, targets).values())) < 1e-4
    assert float(sum(head.loss(worse, targets).values())) > 0.05
    assert float(head.distill(perfect, vectors(targets))) < 1e-4
    assert float(head.distill(worse, perfect)) > 0.05


@pytest.mark.parametrize("size", [(64, 48), (128, 96), (256, 192), (384, 288)])
def test_loss_starts_at_a_few_units_whatever_the_resolution(size: tuple[int, int]) -> None:
    targets = targets_of(person(size), size)
    outputs = {axis: torch.zeros_like(target) for axis, target in vectors(targets).items()}
    assert 4 < float(sum(build().loss(outputs, targets).values())) < 10


def test_unlabelled_joints_cost_nothing_and_nobody_costs_nothing() -> None:
    head, people = build(), person()
    people.keypoints[0, 3, 2] = 0
    targets = targets_of(people)
    outputs = {axis: torch.randn_like(target) for axis, target in vectors(targets).items()}
    before = sum(head.loss(outputs, targets).values())
    for value in outputs.values():
        value[:, 3] += 5 * torch.randn_like(value[:, 3])
    assert torch.equal(sum(head.loss(outputs, targets).values()), before)

    people.keypoints[..., 2] = 0
    given = {axis: value.requires_grad_() for axis, value in outputs.items()}
    loss = sum(head.loss(given, targets_of(people)).values())
    loss.backward()
    assert loss.item() == 0
    assert not given["x"].grad.any()


def test_loss_is_finite_for_extreme_outputs_of_half_precision() -> None:
    targets = targets_of(person())
    for value in (-6e4, 6e4):
        outputs = {axis: torch.zeros_like(t, dtype=torch.float16) for axis, t in vectors(targets).items()}
        outputs["x"][..., 5] = value
        terms = build().loss(outputs, targets)
        assert all(term.dtype == torch.float32 and term.isfinite() for term in terms.values())


def test_flip_merge_of_a_mirrored_output_is_the_output() -> None:
    index = list(SKELETON.flip_index)
    outputs = {"x": torch.randn(1, 14, 128), "y": torch.randn(1, 14, 192)}
    mirrored = {"x": outputs["x"][:, index].flip(2), "y": outputs["y"][:, index]}
    for axis, value in build().merge_flip(outputs, mirrored, index).items():
        torch.testing.assert_close(value, outputs[axis])


@pytest.mark.parametrize("split", [1, 2, 3])
def test_decode_equals_the_codecs_reference(split: int) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = {
        "x": torch.randn(1, 14, 64 * split, generator=generator),
        "y": torch.randn(1, 14, 96 * split, generator=generator),
    }
    codec = RTMCCCodec(SKELETON, RESOLUTIONS[0], {"split": split, "hidden": 64})
    reference = codec.decode_maps({axis: value[0].numpy() for axis, value in outputs.items()})
    for name, value in build(split=split).decode(outputs, arch_of(split=split)).items():
        np.testing.assert_allclose(value[0].numpy(), reference[name], rtol=1e-5, err_msg=name)


def test_a_constant_map_says_the_same_at_every_resolution() -> None:
    """Tokens are brought to one length by their active number of cells, and sums over the grid kept.

    Exactly so where two cells become one.
    """
    resolutions = ((64, 48), (64, 96), (128, 48), (128, 96))
    head = build(resolutions=resolutions).double()
    tokens = []
    for height, width in resolutions:
        maps = torch.full((1, 14, height // STRIDE, width // STRIDE), 3.0, dtype=torch.float64)
        tokens.append(head.tokens(head.norm(maps, Context()), 64, Context()))
    for other in tokens[1:]:
        torch.testing.assert_close(other, tokens[0], rtol=1e-5, atol=1e-6)


def test_fewer_hidden_channels_are_a_head_of_that_size() -> None:
    """With the first 64 of 128 channels the head is one of 64, its weights the leading ones."""
    large, small = build((64, 128)), build()
    with torch.no_grad():
        for name, parameter in small.named_parameters():
            source = large.get_parameter(name)
            parameter.copy_(source[tuple(slice(0, size) for size in parameter.shape)])
    levels = ((torch.randn(2, 16, 8, 6), None),)
    expected, found = (head(levels, arch_of(), Context()) for head in (small, large))
    for axis, value in expected.items():
        torch.testing.assert_close(found[axis], value, rtol=1e-5, atol=1e-7)


def archs(space: SearchSpace) -> list[Arch]:
    """Every resolution, neck and option at least once."""
    rng = np.random.default_rng(0)
    drawn = [
        ArchManager(space).sample(rng, head="rtmcc", resolution=size)
        for size in RESOLUTIONS
        for _ in range(6)
    ]
    assert {arch.neck.type for arch in drawn} == {"none", "fusion_deconv"}
    assert len({arch.head for arch in drawn}) == 4
    return drawn


def images(arch: Arch, seed: int = 0) -> Tensor:
    return torch.randn(2, 3, *arch.resolution, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_transfer_is_exact(net: PoseNet, space: SearchSpace, layout: torch.memory_format) -> None:
    for arch in archs(space):
        stats = calibrate(net, arch, images(arch, 1))
        x = images(arch, 2).contiguous(memory_format=layout)
        with torch.no_grad():
            expected, actual = net(x, arch, stats), transfer(net, arch, stats)(x)
        for name, value in expected.items():
            assert torch.equal(value, actual[name]), (arch, name)


def test_graph_counts_what_the_head_multiplies(space: SearchSpace) -> None:
    """K = 14 tokens of 8 x 6 cells, 64 channels, e = 128, s = 128: products of two values count too."""
    arch = ArchManager(space).largest(head="rtmcc")
    arch = replace(arch, neck=type(arch.neck)(), head=arch_of())
    plain = SearchSpace.of(arch)
    graph = Tracer(plain, SKELETON)(arch)
    own = [operator for operator in graph.operators if operator.scope.startswith("heads.")]
    width, cells, bins = arch.stages[-1].width, 8 * 6, 2 * (128 + 96)
    attention = 64 * (2 * 128 + 128) + 14 * 128 + 14 * 128 + 128 * 64
    expected = 14 * (width * 49 * cells + cells * 64 + attention + 64 * bins)
    assert sum(operator.macs for operator in own) == expected
    assert graph.params == sum(p.numel() for p in PoseNet(arch, SKELETON).parameters())
    assert complexity(arch, SKELETON).params == graph.params


def test_onnx_is_torch_on_photographs(
    net: PoseNet, space: SearchSpace, shared_data: Path, tmp_path: Path
) -> None:
    """Keypoints within 1e-4 px, at several resolutions and on both necks."""
    import onnxruntime

    folder = shared_data / "lsp"
    people = load_annotations(folder / "annotations/crowdpose14_train.json", folder / "images", SKELETON)
    dataset = KeypointDataset([people], task="crop")
    for arch in archs(space)[::5]:
        requests = [SampleRequest(index, (), arch.resolution, arch.head, augment=False) for index in range(4)]
        x = to_input(dataset.batch(requests).images)
        plain = transfer(net, arch, calibrate(net, arch, x))
        export_onnx(plain, tmp_path / "net.onnx", images=list(x))
        session = onnxruntime.InferenceSession(
            to_onnx(Tracer.of(plain)(arch), plain).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        for image in x.split(1):
            with torch.no_grad():
                expected = plain.decode(plain(image))
            found = session.run(None, {"images": image.contiguous().numpy()})
            for value, name in zip(found, ("keypoints", "scores"), strict=True):
                np.testing.assert_allclose(value, expected[name].numpy(), atol=1e-4, err_msg=name)
