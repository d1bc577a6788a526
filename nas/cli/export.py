"""`nas export`: a finished network as an ONNX file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nas.cli.console import print_json, say
from nas.cli.data import CategoryOption
from nas.errors import UserError

if TYPE_CHECKING:
    from nas.models import PoseNet
    from nas.pictures import Orientation


def export(
    weights: Annotated[Path, typer.Argument(help="A plain network's weights, with statistics.")],
    output: Annotated[Path | None, typer.Option("--out", help="By default beside the weights.")] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Compute in 8-bit integers; needs --data to calibrate.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="For --int8: a COCO keypoint annotation file, or a folder of pictures."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The folder that the annotation file's names start from.")
    ] = None,
    orientation: Annotated[
        Literal["turned", "stored"],
        typer.Option(help="For --int8: pictures turned as their orientation flag says, or as stored."),
    ] = "turned",
    category: CategoryOption = None,
    samples: Annotated[int, typer.Option(min=1, help="Images (or people) to calibrate int8 on.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write ONNX with batch norm folded and decode inside, after comparing its outputs with torch's."""
    from nas.models import load_weights

    if int8 and data is None:
        raise UserError(
            "--int8 needs images like those it will see: --data ANNOTATIONS.json --images FOLDER, "
            "or --data FOLDER"
        )
    if not int8 and (data is not None or images is not None or orientation != "turned"):
        raise UserError("--data, --images and --orientation calibrate int8: give --int8 as well")
    net = load_weights(weights)
    if net.arch is None:
        raise UserError(f"{weights}: a supernet; take a subnet out of it first: nas transfer RUN ARCH.json")
    path = output or weights.with_suffix(".int8.onnx" if int8 else ".onnx")
    if data is None:
        figures = _export_fp32(net, path)
    else:
        figures = _export_int8(net, path, data, images, samples, orientation=orientation, category=category)
    if as_json:
        print_json(figures)
        return
    say(f"{path}: {figures['params']:,} parameters, {figures['macs']:,} MACs, {figures['bytes']:,} bytes")
    if not int8:
        say("Its outputs agree with torch's.")
        return
    say(f"In fp32 it would have {figures['fp32_bytes']:,} bytes.")
    say(
        f"Keypoints lie {figures['mean_shift_px']:.2f} px from fp32's on average, half of them within "
        f"{figures['median_shift_px']:.2f} px of the input ({figures['images']} calibration images, "
        f"{figures['missing_poses']} of {figures['poses']} poses missing)."
    )
    say("What that costs in accuracy: nas validate, with either file.")


def _export_fp32(net: "PoseNet", path: Path) -> dict[str, Any]:
    from nas.graph import export_onnx

    export_onnx(net, path)
    return {"onnx": str(path), **_size(net), "precision": "fp32", "bytes": path.stat().st_size}


def _export_int8(
    net: "PoseNet",
    path: Path,
    data: Path,
    images: Path | None,
    samples: int,
    *,
    orientation: "Orientation",
    category: str | None,
) -> dict[str, Any]:
    """Write the int8 file and compare it with fp32 on the images that calibrate it."""
    from tempfile import TemporaryDirectory

    from nas.codecs.normalise import normalise
    from nas.evaluate.int8 import calibration_inputs, pose_shift
    from nas.evaluate.torch_model import TorchModel
    from nas.graph import Tracer, export_onnx, to_int8, write_onnx
    from nas.runtime import OnnxModel

    inputs = calibration_inputs(
        TorchModel(net), data, images, count=samples, orientation=orientation, category=category
    )
    with TemporaryDirectory(prefix="nas-export-") as folder:
        exact = Path(folder) / "fp32.onnx"
        export_onnx(net, exact)
        shown = (normalise(pixels).transpose(2, 0, 1) for pixels in inputs)
        write_onnx(to_int8(Tracer.of(net)(net.resolve(None)), net, images=shown), path)
        shift = pose_shift(OnnxModel(exact), OnnxModel(path), inputs)
        fp32_bytes = exact.stat().st_size
    return {
        "onnx": str(path),
        **_size(net),
        "precision": "int8",
        "bytes": path.stat().st_size,
        "fp32_bytes": fp32_bytes,
        **shift.to_json(),
    }


def _size(net: "PoseNet") -> dict[str, int]:
    from nas.graph import complexity

    size = complexity(net.resolve(None), net.skeleton)
    return {"params": size.params, "macs": size.macs}
