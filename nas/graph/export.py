"""Writing a network as an ONNX file that was checked against torch."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor

from nas.arrays import Flags
from nas.codecs.normalise import normalise
from nas.files import write_bytes
from nas.graph.batch import batches
from nas.graph.form import OnnxForm, float_model
from nas.graph.onnx import RAW_PREFIX
from nas.graph.pixels import take_pixels
from nas.layers import Statistics
from nas.models import PoseNet
from nas.space.arch import Arch
from nas.timing.session import open_session

TOLERANCE = 5e-4
"""Largest error relative to the largest magnitude of an output: fp32, summed in another order."""

AGREEMENT = 0.9
"""Share of decoded rows that must agree: peaks of equal height may be found in another order."""

_SEVERAL = 4
"""Images of one run, where a file takes any number; it is made of models for two and for three."""

Arrays = dict[str, NDArray[Any]]


class ParityError(RuntimeError):
    """An exported model does not compute what the network computes."""


def export_onnx(
    net: PoseNet,
    path: Path | str,
    *,
    arch: Arch | None = None,
    stats: Statistics | None = None,
    images: Iterable[Tensor] = (),
    seed: int = 0,
    form: OnnxForm | None = None,
) -> ModelProto:
    """Write an ONNX model with decode inside, once it agrees with torch on random and the given images.

    Args:
        net: a network, plain or not.
        path: the file; it appears only when it is complete.
        arch: which architecture, where the network holds several.
        stats: batch-norm statistics, unless they are embedded.
        images: normalised images [3, H, W] to compare on as well.
        seed: of the random images.
        form: what the file takes; one image of floats unless told.

    Raises:
        StatisticsMissingError: statistics are neither given nor embedded.
        ParityError: the model's outputs differ from the network's.
        UserError: the network cannot be had in that form.
    """
    arch, path, form = net.resolve(arch), Path(path), form or OnnxForm()
    model, _ = float_model(net, form, arch, stats)
    checked, _ = float_model(net, form, arch, stats, raw=True)
    size = form.batch or _SEVERAL
    noise = torch.randn(size, 3, *arch.resolution, generator=torch.Generator().manual_seed(seed))
    single = noise[:1] if form.batch is None else ()
    given = (image.detach().cpu().numpy() for image in (*single, *images))
    inputs = [noise.numpy(), *batches(given, form.batch or 1)]
    _compare(net, model, checked, inputs, arch, stats)
    if form.uint8_input:
        floats = _opened(model)
        take_pixels(model)
        _compare_pixels(floats, _opened(model), (size, *arch.resolution, 3), seed)
    write_onnx(model, path)
    return model


def write_onnx(model: ModelProto, path: Path) -> None:
    """Write a model's file; it appears only when it is complete."""
    write_bytes(path, model.SerializeToString())


def _compare(
    net: PoseNet,
    model: ModelProto,
    checked: ModelProto,
    inputs: Iterable[NDArray[np.float32]],
    arch: Arch,
    stats: Statistics | None,
) -> None:
    """Network outputs must be close; decode is compared on the same outputs, whose peaks are the same."""
    final, whole = _opened(model), _opened(checked)
    training = net.training
    net.eval()
    try:
        for batch in inputs:
            found = _run(whole, batch)
            raw = {name[len(RAW_PREFIX) :]: v for name, v in found.items() if name.startswith(RAW_PREFIX)}
            decoded = {name: v for name, v in found.items() if not name.startswith(RAW_PREFIX)}
            _require_close(_forward(net, torch.from_numpy(batch), arch, stats), raw)
            _require_agreement(_decode(net, raw, arch), decoded)
            _require_agreement(decoded, _run(final, batch))
    finally:
        net.train(training)


def _compare_pixels(floats: Any, pixels: Any, shape: tuple[int, ...], seed: int) -> None:
    """A file that normalises inside must give what the other gives for normalised floats."""
    picture = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    _require_agreement(_run(floats, normalise(picture)), _run(pixels, picture))


def _opened(model: ModelProto) -> Any:
    return open_session(model.SerializeToString(), threads=1, name="the exported model")


def _run(session: Any, batch: NDArray[Any]) -> Arrays:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"images": batch}), strict=True))


@torch.no_grad()
def _forward(net: PoseNet, batch: Tensor, arch: Arch, stats: Statistics | None) -> Arrays:
    return _arrays(net(batch.to(next(net.parameters()).device), arch, stats))


@torch.no_grad()
def _decode(net: PoseNet, raw: Arrays, arch: Arch) -> Arrays:
    device = next(net.parameters()).device
    return _arrays(
        net.decode({name: torch.from_numpy(value).to(device) for name, value in raw.items()}, arch)
    )


def _arrays(tensors: Mapping[str, Tensor]) -> Arrays:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _require_same_form(reference: Arrays, found: Arrays) -> None:
    expected = {name: (value.shape, value.dtype) for name, value in reference.items()}
    if expected != {name: (value.shape, value.dtype) for name, value in found.items()}:
        raise ParityError(f"the exported model's outputs differ in name, shape or dtype from {expected}")


def _require_close(reference: Arrays, found: Arrays) -> None:
    _require_same_form(reference, found)
    for name, value in reference.items():
        scale = np.abs(value).max(initial=1e-6)
        error = np.abs(found[name] - value).max(initial=0) / scale
        if not error <= TOLERANCE:
            raise ParityError(
                f"output {name!r} of the exported model is off by {error:.1e} of its largest value"
            )


def _require_agreement(reference: Arrays, found: Arrays) -> None:
    _require_same_form(reference, found)
    for name, value in reference.items():
        scores = reference.get("scores")
        share = agreement(value, found[name], scores=scores, scored=name != "boxes")
        if not share >= AGREEMENT:
            raise ParityError(f"only {share:.0%} of the decoded {name!r} agree with torch")


def agreement(
    reference: NDArray[Any],
    found: NDArray[Any],
    *,
    scores: NDArray[Any] | None = None,
    scored: bool = True,
) -> float:
    """The share of rows (along the last axis) that are equal within tolerance.

    Where they are `scored`, rows of three or more columns hold a score in the third: the scores of all must
    be equal within tolerance (else the share is 0). Left out is what has a neighbour of the same score, since
    their order is open: candidates [B, K, M, 3 + T], and poses [B, N, K, 3] and boxes [B, N, 4] by their own
    `scores` [B, N].
    """
    if reference.ndim == 0:
        reference, found = reference.reshape(1), found.reshape(1)
    scale = np.abs(reference).reshape(-1, reference.shape[-1]).max(axis=0, initial=1e-6)
    equal = np.abs(found - reference) <= TOLERANCE * scale
    rows = equal.all(axis=-1)
    if reference.ndim < 3 or not 3 <= reference.shape[-1] <= 8:
        return float(rows.mean())
    if scores is not None:
        settled = ~_tied(scores)
        equal, rows = equal[settled], rows[settled]
    if scored and not equal[..., 2].all():
        return 0.0
    if scores is None:
        rows = rows[~_tied(reference[..., 2])]
    return float(rows.mean()) if rows.size else 1.0


def _tied(scores: NDArray[Any]) -> Flags:
    near = np.abs(np.diff(scores, axis=-1)) <= TOLERANCE * np.abs(scores).max(initial=1e-6)
    tied = np.zeros(scores.shape, bool)
    tied[..., 1:] |= near
    tied[..., :-1] |= near
    return tied
