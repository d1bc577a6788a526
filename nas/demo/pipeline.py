"""The whole way on generated people: people are drawn, all else is `nas run` with the recipe of the demo."""

from pathlib import Path
from typing import Any

from rich.console import Console

from nas.data.threads import cores
from nas.demo.people import generate
from nas.demo.scale import DemoScale
from nas.runs import load_config
from nas.runs.override import assignment
from nas.workflow.way import WorkflowDisplays
from nas.workflow.workflow import run_workflow

_TRAIN_SEED, _VAL_SEED = 1, 2


def run_demo(
    folder: Path,
    scale: DemoScale,
    *,
    console: Console,
    displays: WorkflowDisplays | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Do whatever is missing; the summary, which also lies in `folder/summary.json`.

    Args:
        folder: the run folder.
        scale: how much of everything.
        console: where the steps are announced.
        displays: how the steps tell their progress.
        threads: for training and generating; None for all cores.

    Raises:
        UserError: the folder holds another run.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    displays, threads = displays or WorkflowDisplays(), threads or cores()
    processes = min(threads, 2)
    people = folder / "people"
    console.print(
        f"The whole pipeline on generated people: about {scale.minutes} minutes on two cores.",
        "Ctrl-C stops it at any time; the same command goes on where it was.",
        markup=False,
    )
    console.print("\nGenerate people", style="bold", markup=False)
    console.print(
        f"{scale.train_images} pictures to train on and {scale.val_images} others to validate on.",
        markup=False,
    )
    plan = (("train", scale.train_images, _TRAIN_SEED), ("val", scale.val_images, _VAL_SEED))
    for name, images, seed in plan:
        generate(
            people / name,
            images=images,
            seed=seed,
            people_per_image=(1, 2),
            workers=threads,
            progress=displays.counting(f"{name} pictures"),
        )
    shares = [f"processes={processes}", f"threads={threads // processes}"]
    config = load_config("demo", [assignment("data.root", people), *shares, *scale.overrides])
    return run_workflow(config, folder, console=console, displays=displays)
