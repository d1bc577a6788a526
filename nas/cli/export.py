"""`nas export`: a finished network as an ONNX file."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nas.cli.console import print_json, say
from nas.cli.options import CategoryOption
from nas.errors import UserError


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
    from nas.evaluate.export import export_fp32, export_int8
    from nas.evaluate.loading import load_plain

    if int8 and data is None:
        raise UserError(
            "--int8 needs images like those it will see: --data ANNOTATIONS.json --images FOLDER, "
            "or --data FOLDER"
        )
    if not int8 and (data is not None or images is not None or orientation != "turned"):
        raise UserError("--data, --images and --orientation calibrate int8: give --int8 as well")
    net = load_plain(weights)
    path = output or weights.with_suffix(".int8.onnx" if int8 else ".onnx")
    if data is None:
        figures = export_fp32(net, path)
    else:
        figures = export_int8(
            net,
            path,
            data=data,
            images=images,
            samples=samples,
            orientation=orientation,
            category=category,
        )
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
