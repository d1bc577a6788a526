"""A run folder as training leaves it behind, without the training."""

from pathlib import Path

from nas.demo.people import generate
from nas.runs import RunFolder, load_config
from nas.space import SearchSpace


def untrained_run(folder: Path, space: SearchSpace, *, images: int = 12) -> RunFolder:
    """`run` in a folder, of random weights, beside the `people` that it would have learned from."""
    import torch

    from nas.models import PoseNet, save_weights

    generate(folder / "people" / "train", images=images, seed=1)
    overrides = [f"data.root={folder / 'people'}", "calibration.images=4", "threads=1", "accelerator=cpu"]
    run = RunFolder.start(folder / "run", load_config("demo", overrides))
    torch.manual_seed(0)
    save_weights(run.weights_file, PoseNet(space, "coco17"))
    return run
