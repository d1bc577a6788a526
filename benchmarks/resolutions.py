"""What the bodies of a diagnosis inherit at each resolution of their supernet.

    python benchmarks/resolutions.py RUN [--head heatmap] [--set data.root=FOLDER]

RUN is the folder of a trained supernet with a diagnosis (`nas diagnose`), which is only read. The metric is
that of the diagnosis, on the run's search split; the resolution that the diagnosis has is set in bold.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from nas.documents import read_json
from nas.runs import RunFolder
from nas.runs.data import open_data
from nas.search.diagnosis.plan import DiagnosisPlan
from nas.search.session import open_evaluator


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--head", default="heatmap", help="of the networks to look at")
    parser.add_argument("--set", action="append", default=[], help="a.b=c of the run, such as data.root")
    args = parser.parse_args()
    run = RunFolder.open(args.run, args.set)
    metric = read_json(run.diagnosis_file)["metric"]
    config = run.config()
    space = config.load_space()
    evaluate = open_evaluator(run, open_data(config, space, run))
    names = [f"{height}x{width}" for height, width in space.resolutions]
    print(f"| network | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for network in DiagnosisPlan.load(run.diagnosis_folder / "plan.json").networks:
        if network.arch.head.type != args.head:
            continue
        cells = []
        for resolution in space.resolutions:
            score = f"{evaluate(replace(network.arch, resolution=resolution))[metric]:.3f}"
            cells.append(f"**{score}**" if resolution == network.arch.resolution else score)
        print(f"| {network.arch.id} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
