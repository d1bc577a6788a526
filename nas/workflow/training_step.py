"""The step that trains the supernet."""

from collections.abc import Sequence
from functools import partial

from nas.runs.folder import RunFolder
from nas.train import train_supernet
from nas.workflow.steps import WorkflowStep
from nas.workflow.way import Way


def training_step(way: Way) -> WorkflowStep:
    """As `nas train`; what the run may not change is compared before any step is taken."""
    return WorkflowStep(
        "training",
        "Train the supernet",
        (
            "One network that holds every network of the search space as a part of itself.",
            "Each step trains the largest, the smallest and random ones.",
        ),
        inputs=lambda: {"data": way.training_data()},
        made=lambda: [way.run.weights_file],
        work=partial(_train, way),
        found=partial(_found, way),
        again=partial(_go_on, way),
    )


def _train(way: Way) -> None:
    train_supernet(way.config, way.run.path, hours=way.deadline.hours_left, console=way.console)


def _go_on(way: Way) -> None:
    """The later steps work where and how the recipe says now."""
    RunFolder.start(way.run.path, way.config).record(way.config)


def _found(way: Way) -> Sequence[str]:
    return (f"Supernet: {way.run.weights_file}",)
