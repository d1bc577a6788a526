"""`nas validate`: what a network scores on annotated images."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nas.cli.console import print_json, print_table, remark, say
from nas.cli.displays import progress_lines
from nas.cli.options import CategoryOption, JsonOption
from nas.errors import UserError
from nas.outputs import COCO_RESULTS, require_replaceable

if TYPE_CHECKING:
    from nas.data import Annotations
    from nas.evaluate import PoseModel, Result


def validate(
    model: Annotated[Path, typer.Argument(help="Weights (.safetensors), or an exported network (.onnx).")],
    data: Annotated[Path, typer.Option(help="A COCO keypoint annotation file.")],
    images: Annotated[Path, typer.Option(help="The folder that its file names start from.")],
    orientation: Annotated[
        Literal["turned", "stored"],
        typer.Option(
            help="What its labels are of: pictures turned as their orientation flag says, or as stored."
        ),
    ] = "turned",
    flip: Annotated[
        bool, typer.Option("--flip", help="Run every image mirrored as well (weights only).")
    ] = False,
    results: Annotated[
        Path | None, typer.Option(help="Write the results file of the COCO server here.")
    ] = None,
    other_joints: Annotated[
        bool, typer.Option("--other-joints", help="Accept data of another skeleton: score the shared joints.")
    ] = False,
    category: CategoryOption = None,
    batch: Annotated[int, typer.Option(min=1, help="Images run at once.")] = 32,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of torch or onnxruntime.")] = None,
    backend: Annotated[
        Literal["faster", "pycocotools"], typer.Option(help="Who computes AP; both give the same figures.")
    ] = "faster",
    as_json: JsonOption = False,
) -> None:
    """COCO AP, PCK and, for CrowdPose data, its AP, of torch weights or of an ONNX file."""
    from nas.data import load_annotations
    from nas.evaluate import validate as run_validation
    from nas.evaluate import write_results
    from nas.evaluate.loading import load_model

    if results is not None:
        require_replaceable(results, COCO_RESULTS, inputs=(model, data))
    network = load_model(model, flip=flip, threads=threads)
    loaded = load_annotations(data, images, network.skeleton, category=category)
    annotations = replace(loaded, orientation=orientation)
    if not other_joints:
        _require_same_joints(annotations)
    lines = progress_lines("images" if network.task == "image" else "people")
    result = run_validation(network, annotations, batch_size=batch, backend=backend, progress=lines)
    if results is not None:
        write_results(results, result.detections)
        remark(f"Results file: {results}")
    if as_json:
        print_json({"model": str(model), "data": str(data)} | result.to_json())
        return
    _print_result(model, network, result)


def _require_same_joints(annotations: "Annotations") -> None:
    """Refuse data of another skeleton: figures over some joints are easily taken for figures over all."""
    from nas.coco import other_joints

    missing, further = other_joints(annotations.joints, annotations.skeleton)
    if missing or further:
        raise UserError(
            f"{annotations.path}: its joints are not those of the network ({annotations.skeleton.name}): "
            f"missing {', '.join(missing) or 'none'}; further {', '.join(further) or 'none'}; "
            "give data of that skeleton, or --other-joints to score the shared ones"
        )


def _print_result(path: Path, network: "PoseModel", result: "Result") -> None:
    height, width = network.resolution
    test = "with flip test" if result.flip else "without flip test"
    crops = "; every person's true box is given" if network.task == "crop" else ""
    say(f"{path}", style="bold")
    say(f"{height} x {width}, {test}{crops}")
    say(f"{result.images:,} images, {result.people:,} people\n")
    figures = {name: value for name, value in result.figures.items() if "/" not in name}
    print_table(None, ("metric", "value"), ((name, _told(value)) for name, value in figures.items()))
    joints = _by_joint(result.figures)
    if joints:
        columns = list(next(iter(joints.values())))
        say()
        print_table(
            "By keypoint",
            ("keypoint", *columns),
            ((joint, *(row.get(column) for column in columns)) for joint, row in joints.items()),
        )


def _told(value: Any) -> int | float:
    """A count as a whole number, an accuracy as a fraction."""
    return value if isinstance(value, int) else float(value)


def _by_joint(figures: Any) -> dict[str, dict[str, float]]:
    """Figures of single keypoints, `NAME/KEYPOINT`, by keypoint."""
    table: dict[str, dict[str, float]] = {}
    for name, value in figures.items():
        metric, slash, joint = name.partition("/")
        if slash:
            table.setdefault(joint, {})[metric] = float(value)
    return table
