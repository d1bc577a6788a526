"""Forms of an ONNX file: any number of images, pixels as they are, operators of other versions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from head_samples import SHIPPED_HEADS, small_arch
from torch import nn

from nas.codecs.exported import METADATA_KEY
from nas.errors import UserError
from nas.evaluate.torch_model import TorchModel
from nas.graph import OnnxForm, Tracer, export_onnx, to_onnx
from nas.graph.batch import open_batch
from nas.graph.form import float_model
from nas.runtime import OnnxModel
from nas.space import ArchManager, SearchSpace

SPACES = Path(__file__).parents[1] / "spaces"
LATER = 22
"""Onnxruntime follows onnx some releases behind."""


def pictures(arch, count: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, *arch.resolution, 3), np.uint8)


def told(path: Path):
    (entry,) = (entry for entry in onnx.load(path).metadata_props if entry.key == METADATA_KEY)
    return json.loads(entry.value)


def same(found, expected, *, tolerance: float = 1e-5) -> None:
    assert len(found) == len(expected)
    for own, other in zip(found, expected, strict=True):
        assert own.keys() == other.keys()
        for name, values in other.items():
            np.testing.assert_allclose(own[name], values, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("head", SHIPPED_HEADS)
def test_every_form_of_a_file_finds_the_same(head, tmp_path, calibrated_net) -> None:
    arch = small_arch(head)
    net = calibrated_net(arch)
    images = pictures(arch, 5)
    export_onnx(net, tmp_path / "plain.onnx")
    plain = OnnxModel(tmp_path / "plain.onnx").candidates(images)
    forms = {
        "pixels": OnnxForm(uint8_input=True),
        "open": OnnxForm(batch=None, uint8_input=True, opset=LATER),
        "pairs": OnnxForm(batch=2, opset=18),
    }
    for name, form in forms.items():
        path = tmp_path / f"{name}.onnx"
        export_onnx(net, path, form=form)
        same(OnnxModel(path).candidates(images), plain, tolerance=0 if name == "pixels" else 1e-5)
    same(OnnxModel(tmp_path / "open.onnx").candidates(images[:1]), plain[:1])


def test_a_file_says_what_it_takes(tmp_path, calibrated_net) -> None:
    arch = small_arch("heatmap")
    net = calibrated_net(arch)
    path = tmp_path / "net.onnx"
    export_onnx(net, path, form=OnnxForm(batch=None, uint8_input=True, opset=18))
    (given,) = onnx.load(path).graph.input
    axes = [axis.dim_param or axis.dim_value for axis in given.type.tensor_type.shape.dim]
    assert (axes, given.type.tensor_type.elem_type) == (["batch", 64, 96, 3], onnx.TensorProto.UINT8)
    assert told(path)["input"] == {"type": "uint8", "layout": "NHWC", "colour": "RGB", "batch": None}
    assert (told(path)["task"], told(path)["poses"], told(path)["padding"]) == ("crop", True, 1.25)
    export_onnx(net, path, form=OnnxForm(batch=3))
    assert told(path)["input"] == {"type": "float32", "layout": "NCHW", "colour": "RGB", "batch": 3}
    export_onnx(calibrated_net(small_arch("associative_embedding")), path)
    assert (told(path)["task"], told(path)["poses"]) == ("image", False)


def test_pixels_are_normalised_as_torch_does(tmp_path, calibrated_net) -> None:
    arch = small_arch("integral")
    net = calibrated_net(arch)
    path = tmp_path / "net.onnx"
    export_onnx(net, path, form=OnnxForm(uint8_input=True))
    images = pictures(arch, 3)
    same(OnnxModel(path).candidates(images), TorchModel(net).candidates(images), tolerance=1e-3)


def repeated(x):
    """A table that every image gets, and shapes that grow with the number of images in several ways."""
    table = torch.arange(6.0).view(1, 2, 3).expand(x.shape[0], -1, -1)
    joined = torch.cat([x, table], dim=1)
    flat = joined.flatten(0, 1) * 2
    rows = flat.view(x.shape[0], -1, 3)
    wide = rows[:, :1].expand(-1, 4, -1).repeat(1, 1, 2)
    return joined, flat, rows.amax(dim=2), wide + torch.ones_like(wide)


def test_what_is_stored_once_for_every_image_is_repeated(trace_function, run_onnx) -> None:
    two, three = (to_onnx(trace_function(repeated, (batch, 2, 3)), nn.Identity()) for batch in (2, 3))
    opened = open_batch(two, three)
    onnx.checker.check_model(opened, full_check=True)
    for batch in (1, 2, 5):
        x = torch.randn(batch, 2, 3)
        found = run_onnx(opened, x)
        for name, value in zip(found, repeated(x), strict=True):
            np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-6)


def test_values_that_depend_on_the_number_of_images_are_refused(trace_function) -> None:
    def mean(x):
        return x / float(x.shape[0])

    two, three = (to_onnx(trace_function(mean, (batch, 4)), nn.Identity()) for batch in (2, 3))
    with pytest.raises(ValueError, match="depends on the number of images"):
        open_batch(two, three)

    def uneven(x):
        return x * 2 if x.shape[0] == 2 else x + 2

    two, three = (to_onnx(trace_function(uneven, (batch, 4)), nn.Identity()) for batch in (2, 3))
    with pytest.raises(ValueError, match="of two images"):
        open_batch(two, three)


def reduced(x):
    return x.mean(1), x.amax((1, 2)), x.max(dim=2).values, x.norm(dim=1, keepdim=True), x.sum(2), x.amin(0)


@pytest.mark.parametrize("opset", [13, 17, 18, LATER])
def test_operators_of_other_versions_compute_the_same(opset, trace_function, run_onnx) -> None:
    x = torch.randn(2, 3, 4)
    model = to_onnx(trace_function(reduced, tuple(x.shape)), nn.Identity(), opset=opset)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == opset
    for value, found in zip(reduced(x), run_onnx(model, x).values(), strict=True):
        np.testing.assert_allclose(found, value.numpy(), rtol=1e-5)


def networks():
    crop = ArchManager(SearchSpace.load("person-crop")).smallest(head="heatmap")
    for name in ("deconv4x4", "deconv2x2", "nearest_dw", "bilinear"):
        yield replace(crop, neck=replace(crop.neck, upsampler=name))
    for space, head in ((SPACES / "cspnext.yaml", "simcc"), (SPACES / "cspdark.yaml", "heatmap")):
        yield ArchManager(SearchSpace.load(space)).smallest(head=head)


@pytest.mark.parametrize("arch", [*networks()], ids=lambda arch: f"{arch.head.type}-{arch.neck.upsampler}")
def test_networks_of_other_versions_compute_the_same(arch, calibrated_net, run_onnx) -> None:
    net = calibrated_net(arch)
    x = torch.randn(2, 3, *arch.resolution)
    usual, later = (
        run_onnx(float_model(net, OnnxForm(batch=None, opset=opset), raw=True)[0], x) for opset in (17, LATER)
    )
    for name in usual:
        if name.startswith("raw."):
            np.testing.assert_allclose(later[name], usual[name], rtol=1e-5, atol=1e-5)


def test_forms_that_cannot_be_had_are_told(tmp_path, calibrated_net) -> None:
    with pytest.raises(UserError, match=r"`batch`: .* not 0"):
        OnnxForm(batch=0)
    for opset in (12, onnx.defs.onnx_opset_version() + 1):
        with pytest.raises(UserError, match=r"`opset`: .* choose 13 to"):
            OnnxForm(opset=opset)
    arch = small_arch("heatmap")
    arch = replace(arch, stages=(replace(arch.stages[0], activation="hardswish"), *arch.stages[1:]))
    with pytest.raises(UserError, match=r"`opset`: 13 does not hold this network: .*HardSwish"):
        export_onnx(calibrated_net(arch), tmp_path / "net.onnx", form=OnnxForm(opset=13))
    assert not list(tmp_path.iterdir())


def test_macs_are_of_all_images_of_a_batch() -> None:
    arch = small_arch("simcc")
    tracer = Tracer(arch, "coco17")
    one, three = tracer(arch), tracer(arch, batch=3)
    assert three.macs == 3 * one.macs
    assert three.params == one.params
