"""int8 files: which layers stay in fp32, and what is gained and lost."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from nas.codecs.normalise import normalise
from nas.errors import UserError
from nas.evaluate.export import file_figures
from nas.evaluate.int8 import CalibrationData, Shift, pose_shift, spread
from nas.evaluate.validate import validate
from nas.files import write_bytes
from nas.graph import OnnxForm, export_onnx, write_onnx
from nas.graph.form import float_model
from nas.graph.pixels import take_pixels
from nas.graph.quantise import Quantiser
from nas.graph.sensitivity import layer_errors
from nas.models import PoseNet
from nas.runtime.session import OnnxModel
from nas.timing import time_networks
from nas.timing.networks import file_network

Progress = Callable[[int, int], None]
T = TypeVar("T")

_SHOWN = 8
"""Images that errors of single layers are measured on, at most."""


LEAST_SIMILARITY = 0.98
"""Of int8's poses to those of fp32, unless told otherwise."""


@dataclass(frozen=True)
class Int8Wishes:
    """What an int8 file has to be.

    Args:
        similarity: of its poses to those of fp32 (OKS on the calibration images), at least: layers stay in
            fp32, those that suffer most first, until it is reached.
        even_if_slower: whether the file is written where it takes longer than fp32 on this machine.

    Raises:
        UserError: a similarity outside of 0..1.
    """

    similarity: float = LEAST_SIMILARITY
    even_if_slower: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.similarity <= 1:
            raise UserError(f"`similarity` is between 0 and 1, got {self.similarity:g}")


def export_int8(
    net: PoseNet,
    path: Path,
    *,
    calibration: CalibrationData,
    form: OnnxForm | None = None,
    wishes: Int8Wishes | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the int8 file, and compare it with fp32: poses, accuracy where there are labels, milliseconds.

    Args:
        net: a plain network with statistics.
        path: of the file.
        calibration: of `calibration_data`.
        form: what the file takes; one image of floats unless told.
        wishes: how like fp32 it has to be, and how fast.
        progress: called with layers looked at and layers in all, where some have to stay in fp32.

    Raises:
        UserError: the file would be slower than fp32.
    """
    form, wishes = form or OnnxForm(), wishes or Int8Wishes()
    with TemporaryDirectory(prefix="nas-export-") as name:
        drafts = _Drafts(net, form, calibration, Path(name))
        everywhere = shift = drafts.shift(())
        exact: list[int] = []
        if everywhere.similarity < wishes.similarity:
            exact = fewest(
                drafts.by_harm(progress), lambda layers: drafts.shift(layers).similarity >= wishes.similarity
            )
            shift = drafts.shift(exact)
        milliseconds = drafts.milliseconds()
        if milliseconds["int8"] >= milliseconds["fp32"] and not wishes.even_if_slower:
            raise UserError(
                f"{path}: not written: in int8 it takes {milliseconds['int8']:.3g} ms, in fp32 "
                f"{milliseconds['fp32']:.3g} ms on this machine; `even_if_slower` writes it all the same"
            )
        write_bytes(path, drafts.integers.read_bytes())
        return {
            **file_figures(net, path, form, precision="int8"),
            "fp32_bytes": drafts.floats.stat().st_size,
            "ms": milliseconds,
            "accuracy": drafts.accuracy(),
            "accuracy_on_calibration_images": not calibration.fresh,
            **shift.to_json(),
            "similarity_of_all_layers": everywhere.similarity,
            "layers": len(drafts.layers),
            "fp32_layers": drafts.kept(exact),
        }


def fewest(order: Sequence[T], enough: Callable[[Sequence[T]], bool]) -> list[T]:
    """The shortest beginning of `order` that is enough, not an empty one; all of it is known to be.

    It is found by doubling, then by halving: what is enough is taken to stay so when more is added.
    """
    low, high = 0, 1
    while high < len(order) and not enough(order[:high]):
        low, high = high, 2 * high
    high = min(high, len(order))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(order[:middle]) else (middle, high)
    return list(order[:high])


class _Drafts:
    """The fp32 file of a network, and int8 files that are tried."""

    def __init__(self, net: PoseNet, form: OnnxForm, calibration: CalibrationData, folder: Path) -> None:
        self._net, self._form, self._calibration = net, form, calibration
        self.floats, self.integers = folder / "fp32.onnx", folder / "int8.onnx"
        export_onnx(net, self.floats, form=form)
        self._reference = OnnxModel(self.floats)
        self._images = [normalise(pixels) for pixels in calibration.inputs]
        self._quantiser = Quantiser(*float_model(net, form), images=self._images)

    @property
    def layers(self) -> Mapping[int, str]:
        """What may compute in int8."""
        return self._quantiser.layers

    def kept(self, exact: Collection[int]) -> list[str]:
        """The names of layers that compute in fp32."""
        return self._quantiser.kept(exact)

    def shift(self, exact: Sequence[int]) -> Shift:
        """How far the int8 file with these layers in fp32 is from fp32; it is there afterwards."""
        model = self._quantiser(exact)
        if self._form.uint8_input:
            take_pixels(model)
        write_onnx(model, self.integers)
        return pose_shift(self._reference, OnnxModel(self.integers), self._calibration.inputs)

    def by_harm(self, progress: Progress | None) -> list[int]:
        """The layers, those first that suffer most from eight bits."""
        model, graph = float_model(self._net, self._form, raw=True)
        errors = layer_errors(model, graph, spread(self._images, _SHOWN), progress=progress)
        return sorted(errors, key=lambda edge: -errors[edge])

    def milliseconds(self) -> dict[str, float]:
        """Of both files on this machine, visited in turns."""
        timings = time_networks([file_network(self.floats), file_network(self.integers)])
        return {
            precision: timing.measured_ms for precision, timing in zip(("fp32", "int8"), timings, strict=True)
        }

    def accuracy(self) -> dict[str, dict[str, float]] | None:
        """What both score on annotated images; None where there are none."""
        if self._calibration.held is None:
            return None
        found = {}
        for precision, path in (("fp32", self.floats), ("int8", self.integers)):
            figures = validate(OnnxModel(path), self._calibration.held).figures
            found[precision] = {name: value for name, value in figures.items() if "/" not in name}
        return found
