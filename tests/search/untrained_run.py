"""A run folder as training leaves it behind, without the training."""

from collections.abc import Sequence
from pathlib import Path

from nas.demo.people import generate
from nas.runs import RunFolder, load_config
from nas.space import SearchSpace


def untrained_run(
    folder: Path,
    space: SearchSpace,
    *,
    images: int = 12,
    name: str = "run",
    weights: int = 0,
    changes: Sequence[str] = (),
) -> RunFolder:
    """A run in a folder, of random weights, beside the `people` that it would have learned from.

    Args:
        folder: where both lie.
        space: of the run.
        images: of people.
        name: of the run.
        weights: which random ones.
        changes: of the demo's recipe.
    """
    import torch

    from nas.models import PoseNet, save_weights

    generate(folder / "people" / "train", images=images, seed=1)
    overrides = [f"data.root={folder / 'people'}", "calibration.images=4", "threads=1", "accelerator=cpu"]
    run = RunFolder.start(folder / name, load_config("demo", [*overrides, *changes]))
    torch.manual_seed(weights)
    save_weights(run.weights_file, PoseNet(space, "coco17"))
    return run
