"""`nas export`: a finished network as an ONNX file."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nas.cli.console import print_json, print_table, say
from nas.cli.displays import progress_lines
from nas.cli.options import CategoryOption, JsonOption
from nas.errors import UserError
from nas.outputs import ONNX_FILE, require_replaceable

_SHOWN = ("AP", "AP50", "AR", "PCK_torso@0.2", "PCK_torso@0.1")
"""Accuracies that are printed; `--json` has all."""


def export(
    weights: Annotated[Path, typer.Argument(help="A plain network's weights, with statistics.")],
    output: Annotated[Path | None, typer.Option("--out", help="By default beside the weights.")] = None,
    batch: Annotated[
        str, typer.Option(metavar="N|dynamic", help="Images of one run; dynamic for any number.")
    ] = "1",
    opset: Annotated[
        int, typer.Option(help="Version of ONNX's operators; older ones for older programs.")
    ] = 17,
    uint8_input: Annotated[
        bool,
        typer.Option("--uint8-input", help="Take RGB bytes [B, H, W, 3] as they are; normalise inside."),
    ] = False,
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
    similarity: Annotated[
        float | None,
        typer.Option(
            help="Least OKS of int8's poses with fp32's (0.98 unless told); layers stay in fp32 for it."
        ),
    ] = None,
    even_if_slower: Annotated[
        bool, typer.Option("--even-if-slower", help="Write int8 where it is slower than fp32 too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write ONNX with batch norm folded and decode inside, after comparing its outputs with torch's."""
    from nas.evaluate.export import export_fp32
    from nas.evaluate.int8 import calibration_data
    from nas.evaluate.int8_export import LEAST_SIMILARITY, Int8Wishes, export_int8
    from nas.evaluate.loading import load_plain
    from nas.evaluate.torch_model import TorchModel
    from nas.graph import OnnxForm

    if int8 and data is None:
        raise UserError(
            "--int8 needs images like those it will see: --data ANNOTATIONS.json --images FOLDER, "
            "or --data FOLDER"
        )
    if not int8 and (data is not None or images is not None or orientation != "turned"):
        raise UserError("--data, --images and --orientation calibrate int8: give --int8 as well")
    if not int8 and (similarity is not None or even_if_slower or category is not None):
        raise UserError("--similarity, --even-if-slower and --category are for int8: give --int8 as well")
    form = OnnxForm(batch=_batch(batch), opset=opset, uint8_input=uint8_input)
    path = output or weights.with_suffix(".int8.onnx" if int8 else ".onnx")
    require_replaceable(path, ONNX_FILE, inputs=(weights, data))
    net = load_plain(weights)
    if data is None:
        figures = export_fp32(net, path, form=form)
    else:
        calibration = calibration_data(
            TorchModel(net), data, images, count=samples, orientation=orientation, category=category
        )
        figures = export_int8(
            net,
            path,
            calibration=calibration,
            form=form,
            wishes=Int8Wishes(LEAST_SIMILARITY if similarity is None else similarity, even_if_slower),
            progress=progress_lines("layers"),
        )
    if as_json:
        print_json(figures)
        return
    say(f"{path}: {figures['params']:,} parameters, {figures['macs']:,} MACs, {figures['bytes']:,} bytes")
    if int8:
        _print_int8(figures)
    else:
        say("Its outputs agree with torch's.")


def _batch(text: str) -> int | None:
    """The images of one run; None for any number."""
    if text == "dynamic":
        return None
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--batch {text}: give a number of images, or dynamic for any number") from None


def _print_int8(figures: dict[str, Any]) -> None:
    times = figures["ms"]
    rows: list[tuple[object, ...]] = [
        ("file, bytes", figures["fp32_bytes"], figures["bytes"]),
        ("one run, ms", times["fp32"], times["int8"]),
    ]
    accuracy = figures["accuracy"]
    if accuracy is not None:
        known = [name for name in _SHOWN if name in accuracy["fp32"]]
        rows += [(name, accuracy["fp32"][name], accuracy["int8"][name]) for name in known]
    print_table(None, ("", "fp32", "int8"), rows)
    if accuracy is not None and figures["accuracy_on_calibration_images"]:
        say("Accuracy is of the images that calibrated int8: there are no others.")
    say(
        f"int8's poses have an OKS of {figures['similarity']:.3f} with fp32's; keypoints lie "
        f"{figures['mean_shift_px']:.2f} px apart on average, half of them within "
        f"{figures['median_shift_px']:.2f} px of the input ({figures['images']} calibration images, "
        f"{figures['missing_poses']} of {figures['poses']} poses missing)."
    )
    if kept := figures["fp32_layers"]:
        say(
            f"{len(kept)} of {figures['layers']} layers stay in fp32, without which it would be "
            f"{figures['similarity_of_all_layers']:.3f}: {', '.join(kept)}"
        )
