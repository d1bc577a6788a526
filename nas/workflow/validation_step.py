"""The step that exports the winners, and validates what was exported on pictures that nothing has seen."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nas.data import Annotations
from nas.documents import read_json
from nas.evaluate import Result, mean_pose_baseline, validate
from nas.files import write_json
from nas.graph import export_onnx
from nas.models import load_weights
from nas.runtime import OnnxModel
from nas.workflow.people import DrawnCount, count_drawn, write_sheet
from nas.workflow.search_step import Winner, require_results, winners
from nas.workflow.steps import WorkflowStep, digest_of
from nas.workflow.summary import FinishedSubnet, summarise
from nas.workflow.way import Way

_BOXES = {"crop": "true ones", "image": "none"}


def validation_step(way: Way) -> WorkflowStep:
    """ONNX files with decoding inside, what they score, and what the average pose does."""
    return WorkflowStep(
        "validation",
        "Export and validate",
        (
            "The networks become ONNX files, decoding included, and these files are validated",
            "on pictures that nothing has seen so far; beside them the average pose in everyone's box.",
        ),
        inputs=partial(_inputs, way),
        made=partial(_made, way),
        work=partial(_validate, way),
        found=partial(_found, way),
    )


def sheet_file(way: Way) -> Path:
    """Validation people with the poses of the most accurate network on crops."""
    return way.run.path / "validation_people.png"


def held_out_file(way: Way, number: int) -> Path:
    """What is held out of a training set, as an annotation file that every command takes."""
    return way.run.workflow_folder / f"held-out-{number}.json"


def _inputs(way: Way) -> dict[str, Any]:
    return {
        "data": way.digests(way.validated),
        "training data": way.training_data(),
        "held out": way.config.data.holdout,
        "results": digest_of(way.run.results_file),
        "weights": [digest_of(winner.weights) for winner in winners(way.run)],
        "at": str(way.run.path.absolute()),  # the summary names its files
    }


def _made(way: Way) -> list[Path]:
    found = winners(way.run)
    crops = way.space.task == "crop" and found
    held_out = () if way.validated else range(len(way.config.data.train))
    return [
        way.run.summary_file,
        *dict.fromkeys(winner.onnx for winner in found),
        *([sheet_file(way)] if crops else []),
        *(held_out_file(way, number) for number in held_out),
    ]


def _validate(way: Way) -> None:
    data = way.config.data
    sets = way.load_validated()
    if not way.validated:
        for number, held_out in enumerate(sets):
            write_json(held_out_file(way, number), held_out.to_coco(), indent=None)
    finished = [_finish(way, winner, sets) for winner in winners(way.run)]
    largest = max(data.load_train(way.skeleton), key=lambda part: int(part.people.labelled.sum()))
    baselines = [mean_pose_baseline(largest, part) for part in sets]
    if finished and way.space.task == "crop":
        best = max(finished, key=lambda subnet: subnet.scores["AP"])
        write_sheet(sheet_file(way), best.results[0].detections, sets[0])
    summary = summarise(
        require_results(way.run), finished, baselines, boxes=_BOXES[way.space.task], threads=way.threads
    )
    write_json(way.run.summary_file, summary)


def _finish(way: Way, winner: Winner, sets: Sequence[Annotations]) -> FinishedSubnet:
    export_onnx(load_weights(winner.weights), winner.onnx)
    model = OnnxModel(winner.onnx, threads=way.threads)
    counting = way.displays.counting(f"{winner.name}: inputs validated")
    results = [validate(model, part, progress=counting) for part in sets]
    return FinishedSubnet(winner, results, _drawn(results, sets) if model.task == "crop" else None)


def _drawn(results: Sequence[Result], sets: Sequence[Annotations]) -> DrawnCount:
    counts = [count_drawn(result.detections, part) for result, part in zip(results, sets, strict=True)]
    return DrawnCount(sum(count.matched for count in counts), sum(count.drawn for count in counts))


def _found(way: Way) -> Sequence[str]:
    summary: Mapping[str, Any] = read_json(way.run.summary_file)
    lines = [f"{subnet['onnx']}: AP {subnet['finetuned_ap']:.3f}" for subnet in summary["subnets"]]
    average = f"The average pose: AP {summary['baseline_ap']:.3f}, AP50 {summary['baseline_ap50']:.3f}"
    return [*lines, average]
