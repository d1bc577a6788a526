"""What a little fine-tuning of inherited weights does to the ranking of networks.

    python benchmarks/short_finetuning.py RUN --images 10000 --out OUT.jsonl [--set data.root=FOLDER]

RUN is the folder of a trained supernet with a finished diagnosis (`nas diagnose`), which is only read: its
networks are fine-tuned in a copy, each for so many images from what it inherits, and scored as the
diagnosis scores them. Kendall's tau is against the same networks trained alone. What was scored is kept in
OUT and not done again.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from scipy.stats import kendalltau

from nas.documents import read_json
from nas.files import append_row, read_rows
from nas.runs import RunFolder
from nas.runs.data import open_data
from nas.search.diagnosis.plan import DiagnosisPlan
from nas.search.session import open_evaluator
from nas.train.finetune import finetune_subnet

NEEDED = ("config.yaml", "inputs", "calibration.json", "search_split.json", "weights.safetensors")


def finetune(run: RunFolder, images: int, out: Path, overrides: Sequence[str]) -> None:
    """Score every network of the diagnosis that the file lacks."""
    plan = DiagnosisPlan.load(run.diagnosis_folder / "plan.json")
    recipe = plan.recipe.model_copy(update={"images": images})
    known = scored(out, images)
    with tempfile.TemporaryDirectory() as folder:
        for name in NEEDED:
            found, copied = run.path / name, Path(folder) / name
            (shutil.copytree if found.is_dir() else shutil.copyfile)(found, copied)
        copy = RunFolder.open(Path(folder), overrides)
        data = open_data(copy.config(), copy.config().load_space(), copy)
        for arch in (network.arch for network in plan.networks):
            if arch.id in known:
                continue
            weights = finetune_subnet(copy, arch, recipe=recipe, console=Console(stderr=True))
            scores = open_evaluator(copy, data, weights=weights)(arch)
            append_row(out, {"arch": arch.id, "images": images, "scores": dict(scores)})


def scored(out: Path, images: int) -> dict[str, Any]:
    """Scores by the ids of networks, after so many images."""
    rows = (row for _, row in read_rows(out)) if out.is_file() else ()
    return {row["arch"]: row["scores"] for row in rows if row["images"] == images}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], help="a.b=c of the run, such as data.root")
    args = parser.parse_args()
    run = RunFolder.open(args.run, args.set)
    finetune(run, args.images, args.out, args.set)
    figures = read_json(run.diagnosis_file)
    after, metric = scored(args.out, args.images), figures["metric"]
    print(f"| network | ms | inherited | after {args.images:,} images | alone |\n|---|---|---|---|---|")
    rows = sorted(figures["networks"], key=lambda row: float(row["predicted_ms"]))
    for row in rows:
        cells = row["inherited"], after[row["arch"]][metric], row["alone_mean"]
        print(
            f"| {row['arch']} | {row['predicted_ms']:.2f} | " + " | ".join(f"{x:.3f}" for x in cells) + " |"
        )
    alone = [row["alone_mean"] for row in rows]
    for name, values in {
        "inherited": [row["inherited"] for row in rows],
        "fine-tuned": [after[row["arch"]][metric] for row in rows],
    }.items():
        print(f"tau of {name} against alone: {kendalltau(values, alone).statistic:.3f}", file=sys.stderr)


if __name__ == "__main__":
    main()
