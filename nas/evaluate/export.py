"""Finished networks as ONNX files, and what they are: plain data for printing."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nas.codecs.normalise import normalise
from nas.evaluate.int8 import calibration_inputs, pose_shift
from nas.evaluate.torch_model import TorchModel
from nas.graph import Tracer, complexity, export_onnx, to_int8, write_onnx
from nas.models import PoseNet
from nas.pictures import Orientation
from nas.runtime.session import OnnxModel


def export_fp32(net: PoseNet, path: Path) -> dict[str, Any]:
    """Write the file, after comparing its outputs with torch's; its size, parameters and MACs."""
    export_onnx(net, path)
    return _figures(net, path, precision="fp32")


def export_int8(
    net: PoseNet,
    path: Path,
    *,
    data: Path,
    images: Path | None = None,
    samples: int = 64,
    orientation: Orientation = "turned",
    category: str | None = None,
) -> dict[str, Any]:
    """Write the int8 file and compare it with fp32 on the images that calibrate it.

    Args:
        net: a plain network with statistics.
        path: of the file.
        data, images, orientation, category: as in `calibration_inputs`.
        samples: network inputs to calibrate on.
    """
    inputs = calibration_inputs(
        TorchModel(net), data, images, count=samples, orientation=orientation, category=category
    )
    with TemporaryDirectory(prefix="nas-export-") as folder:
        exact = Path(folder) / "fp32.onnx"
        export_onnx(net, exact)
        shown = (normalise(pixels) for pixels in inputs)
        write_onnx(to_int8(Tracer.of(net)(net.resolve(None)), net, images=shown), path)
        shift = pose_shift(OnnxModel(exact), OnnxModel(path), inputs)
        fp32_bytes = exact.stat().st_size
    return {**_figures(net, path, precision="int8"), "fp32_bytes": fp32_bytes, **shift.to_json()}


def _figures(net: PoseNet, path: Path, *, precision: str) -> dict[str, Any]:
    size = complexity(net.resolve(None), net.skeleton)
    return {
        "onnx": str(path),
        "params": size.params,
        "macs": size.macs,
        "precision": precision,
        "bytes": path.stat().st_size,
    }
