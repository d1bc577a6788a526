"""`nas data label`: a network's poses as labels, alone or merged with given ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nas.cli.console import print_json, print_table, remark, say
from nas.cli.displays import progress_lines
from nas.cli.options import CategoryOption, JsonOption, finite
from nas.errors import UserError

if TYPE_CHECKING:
    from nas.labels import LabelReport

SOME_FAILED = 1
_MOST_NAMED = 20


def label(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES",
            help="A folder of images, searched with all below, or a COCO file that lists them.",
        ),
    ],
    model: Annotated[Path, typer.Option(help="The network: an ONNX file that `nas export` wrote.")],
    output: Annotated[Path, typer.Option("--out", help="The COCO keypoint file to write; a new one.")],
    images: Annotated[
        Path | None,
        typer.Option(help="For a COCO file: its image folder; by default looked for around the file."),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="Boxes of people for a network for crops, instead of the COCO file's own: another COCO "
            "file, or a list of detections (image_id, bbox, score)."
        ),
    ] = None,
    detector: Annotated[
        Path | None,
        typer.Option(help="A network for whole images whose people are shown to a network for crops."),
    ] = None,
    min_box: Annotated[
        float, typer.Option(min=0, max=1, callback=finite, help="Detections of a lower score are nobody.")
    ] = 0.5,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, callback=finite, help="Poses of a lower score give no label.")
    ] = 0.3,
    min_keypoint: Annotated[
        float, typer.Option(min=0, max=1, callback=finite, help="Joints of a lower score are unlabelled.")
    ] = 0.5,
    rotations: Annotated[
        list[float] | None,
        typer.Option(
            "--rotation",
            callback=finite,
            help="Degrees by which everyone is seen turned; several are joined.",
            show_default="0",
        ),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="See everyone mirrored as well.")] = False,
    agreement: Annotated[
        float,
        typer.Option(
            min=0, callback=finite, help="How far from its middle a joint may be seen, in the person's scale."
        ),
    ] = 0.1,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="Keep the COCO file's labels: fill what is missing, drop contradictions."
        ),
    ] = False,
    far: Annotated[
        float | None,
        typer.Option(
            min=0,
            callback=finite,
            help="With --merge: a label farther than this from the network's contradicts it, in the person's "
            "scale; 0.3 unless told.",
        ),
    ] = None,
    sure: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            callback=finite,
            help="With --merge: the least score that drops such a label; 0.6 unless told.",
        ),
    ] = None,
    same: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            callback=finite,
            help="With --merge: the least share of a person's joints that has to agree; 0.6 unless told.",
        ),
    ] = None,
    orientation: Annotated[
        Literal["turned", "stored"],
        typer.Option(
            help="Whether labels are of pictures turned as their orientation flag says, or as stored."
        ),
    ] = "turned",
    category: CategoryOption = None,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of onnxruntime.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Label images with a network. Run again to go on after an interruption.

    Exit code 1 says that some of the images could not be read, 2 that nothing was written.
    """
    from nas.labels import Labeller, LabelSettings, MergeSettings, Views, label_set, require_new
    from nas.labels import label as run_labelling
    from nas.runtime import OnnxModel

    told = {"far": far, "sure": sure, "same": same}
    merging = {name: value for name, value in told.items() if value is not None}
    if merging and not merge:
        raise UserError(f"--{next(iter(merging))} is for --merge: give both, or neither")
    require_new(output)
    network = OnnxModel(model, threads=threads)
    finder = None if detector is None else OnnxModel(detector, threads=threads)
    settings = LabelSettings(
        Views(tuple(rotations or (0.0,)), flip, agreement), min_score, min_keypoint, min_box, orientation
    )
    listed = label_set(
        source,
        network,
        detector=finder,
        images=images,
        boxes=boxes,
        category=category,
        merge=merge,
        least=min_box,
        say=remark,
    )
    if not network.scored:
        remark(f"{model}: its head does not measure how sure it is; every confidence is 1")
    inputs = {"model": model, "detector": detector, "boxes": boxes}
    if listed.content is not None:
        inputs["images"] = source
    lines = progress_lines("images")
    done = 0

    def progress(so_far: int, total: int) -> None:
        nonlocal done
        done = so_far
        lines(so_far, total)

    try:
        report = run_labelling(
            listed,
            Labeller(network, detector=finder, settings=settings),
            output,
            merge=MergeSettings(**merging) if merge else None,
            inputs={kind: path for kind, path in inputs.items() if path is not None},
            progress=progress,
        )
    except KeyboardInterrupt:
        remark(f"{done} of {len(listed.images)} images are labelled; the same command goes on from there")
        raise
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)
    _end(report)


def _print_report(report: "LabelReport") -> None:
    people = report.people
    say(
        f"{report.file}: {report.images:,} images, {people['people']:,} people, "
        f"{people['labelled']:,} of them with labelled joints"
    )
    if report.merged:
        say(
            f"{people['given']:,} people were given: {people['merged']:,} are merged with their pose, "
            f"{people['contradicted']:,} have another pose and stay as they are, {people['unseen']:,} have "
            f"none. {people['added']:,} are new."
        )
    columns = ("given", "confirmed", "dropped", "filled", "labelled") if report.merged else ("labelled",)
    say()
    rows = ((joint, *(counts[column] for column in columns)) for joint, counts in report.joints.items())
    print_table(None, ("joint", *columns), rows)


def _end(report: "LabelReport") -> None:
    """Name what could not be read, and say it by the exit code."""
    for failure in report.failures[:_MOST_NAMED]:
        remark(f"{failure.path}: {failure.reason}")
    if len(report.failures) > _MOST_NAMED:
        remark(f"... and {len(report.failures) - _MOST_NAMED} more; --json names all")
    if report.failures:
        remark(f"{len(report.failures)} of {len(report.failures) + report.images} images could not be read")
        raise typer.Exit(SOME_FAILED)
