"""Finished networks as ONNX files, and what they are: plain data for printing."""

from pathlib import Path
from typing import Any

from nas.graph import OnnxForm, complexity, export_onnx
from nas.models import PoseNet


def export_fp32(net: PoseNet, path: Path, *, form: OnnxForm | None = None) -> dict[str, Any]:
    """Write the file, after comparing its outputs with torch's; its size, parameters and MACs."""
    form = form or OnnxForm()
    export_onnx(net, path, form=form)
    return file_figures(net, path, form, precision="fp32")


def file_figures(net: PoseNet, path: Path, form: OnnxForm, *, precision: str) -> dict[str, Any]:
    """What an exported file is."""
    size = complexity(net.resolve(None), net.skeleton)
    return {
        "onnx": str(path),
        "params": size.params,
        "macs": size.macs,
        "precision": precision,
        "bytes": path.stat().st_size,
        "batch": "dynamic" if form.batch is None else form.batch,
        "opset": form.opset,
        "input": "uint8" if form.uint8_input else "float32",
    }
