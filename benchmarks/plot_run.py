"""Curves of a run: losses and validation over images, of its supernet and of every fine-tuning.

python benchmarks/plot_run.py runs/person-crop-lsp --out results/person-crop-lsp/curves.png
"""

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from nas.runs import RunFolder, read_metrics

SMOOTHING = 0.8


def smooth(values: list[float]) -> list[float]:
    """Exponential moving average."""
    result: list[float] = []
    for value in values:
        result.append(value if not result else SMOOTHING * result[-1] + (1 - SMOOTHING) * value)
    return result


def draw(axes: Axes, file: Path, names: list[str], label: str) -> None:
    """The named metrics of one file over the images that training has seen."""
    lines = [line for line in read_metrics(file) if "images" in line]
    for name in names:
        points = [(line["images"], line[name]) for line in lines if line.get(name) is not None]
        if points:
            images, values = zip(*points, strict=True)
            shown = list(values) if name.startswith("val/") else smooth(list(values))
            marker = "o" if name.startswith("val/") else None
            axes.plot(images, shown, marker=marker, markersize=3, label=f"{label} {name}".strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    run = RunFolder.open(args.run)
    finetunings = sorted(run.work_folder("x").parent.glob("*/metrics.jsonl"))
    supernet = read_metrics(run.metrics_file)
    names = sorted({name for line in supernet for name in line})

    figure, panels = plt.subplots(1, 3, figsize=(17, 4.8))
    for axes, head in zip(panels, ("heatmap", "simcc"), strict=False):
        axes.set_title(f"losses of {head} (a step draws one head; smoothed)")
        draw(axes, run.metrics_file, [n for n in names if n.startswith(f"{head}/")], "supernet")
        for file in finetunings:
            draw(axes, file, [f"{head}/labels"], file.parent.name)
    panels[2].set_title("validation, averaged weights")
    draw(panels[2], run.metrics_file, [n for n in names if n.startswith("val/") and "PCK" in n], "supernet")
    for file in finetunings:
        found = sorted(
            {n for line in read_metrics(file) for n in line if n.startswith("val/") and "PCK" in n}
        )
        draw(panels[2], file, found, file.parent.name)
    for axes in panels:
        axes.set_xlabel("images seen")
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    figure.tight_layout()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)


if __name__ == "__main__":
    main()
