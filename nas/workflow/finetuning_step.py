"""The step that trains every winner on by itself."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from nas.runs.folder import RunFolder, load_finetune_config
from nas.train import finetune_subnet
from nas.workflow.search_step import Winner, winners
from nas.workflow.steps import WorkflowStep, digest_of
from nas.workflow.way import Way


def finetuning_step(way: Way) -> WorkflowStep:
    """As `nas finetune`, of one winner after the other; one that is done is not begun again."""
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
    for winner in winners(way.run):
        way.records.once(
            f"finetuning-{winner.weights.stem}",
            _inputs(way, winner),
            made=partial(list, [winner.weights]),
            work=partial(_finetune_one, way, winner),
        )


def _finetune_one(way: Way, winner: Winner) -> None:
    finetune_subnet(
        way.run.path,
        winner.arch,
        recipe=load_finetune_config(way.run.path),
        name=winner.weights.stem,
        hours=way.hours,
        console=way.console,
    )


def _found(run: RunFolder) -> Sequence[str]:
    return [f"Weights: {path}" for path in dict.fromkeys(winner.weights for winner in winners(run))]
