"""The step that trains every winner on by itself."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from nas.runs.folder import RunFolder, load_finetune_config
from nas.train import finetune_subnets
from nas.workflow.search_step import Winner, winners
from nas.workflow.steps import WorkflowStep, digest_of
from nas.workflow.way import Way


def finetuning_step(way: Way) -> WorkflowStep:
    """As `nas finetune` of each winner; one that is done is not begun again."""
    return WorkflowStep(
        "finetuning",
        "Transfer and fine-tune",
        ("Each subnet becomes a network of its own, with the supernet's weights, and is trained on.",),
        inputs=lambda: {"winners": [_inputs(way, winner) for winner in winners(way.run)]},
        made=lambda: list(dict.fromkeys(winner.weights for winner in winners(way.run))),
        work=partial(_finetune, way),
        found=partial(_found, way.run),
    )


def _inputs(way: Way, winner: Winner) -> dict[str, Any]:
    return {
        "data": way.training_data(),
        "weights": digest_of(way.run.weights_file),
        "arch": winner.arch.id,
        "recipe": way.config.finetune.model_dump(mode="json"),
    }


def _finetune(way: Way) -> None:
    chosen = {winner.weights: winner for winner in winners(way.run)}.values()
    missing = [winner for winner in chosen if not way.records.holds(**_record(way, winner))]
    finetune_subnets(
        way.run.path,
        {winner.weights.stem: winner.arch for winner in chosen},
        done={winner.weights.stem for winner in chosen if winner not in missing},
        recipe=load_finetune_config(way.run.path),
        hours=way.deadline.hours_left,
        console=way.console,
    )
    for winner in missing:
        way.records.do(**_record(way, winner), work=lambda: None)


def _record(way: Way, winner: Winner) -> dict[str, Any]:
    """Of one winner's training, as `StepRecords` takes it."""
    name, inputs = f"finetuning-{winner.weights.stem}", _inputs(way, winner)
    return {"name": name, "inputs": inputs, "made": partial(list, [winner.weights])}


def _found(run: RunFolder) -> Sequence[str]:
    return [f"Weights: {path}" for path in dict.fromkeys(winner.weights for winner in winners(run))]
