"""By how much two versions of onnxruntime differ on one machine, beside how much one differs from itself.

    pip install --no-deps --target other onnxruntime==1.31.1
    python benchmarks/latency_versions.py results/latency/avx2/litepose-coco17.jsonl --other other

Networks of a table are visited round after round by the installed onnxruntime, by the other one and by the
installed one once more, network by network in random order, so that what disturbs the machine disturbs all
three alike. Every visit is kept; a second call adds rounds. The machine need not be quiet: what load does to
labels is seen beside the table's.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

INSTALLED, AGAIN, OTHER = "installed", "installed again", "other"


def networks(table: Path, *, count: int, most_ms: float) -> list[Any]:
    """Timings of a table's networks, drawn."""
    from nas.timing import LatencyTable

    found = [
        timing
        for timing in LatencyTable.read(table).timings()
        if not timing.description.get("check") and timing.measured_ms < most_ms
    ]
    order = np.random.default_rng(3).permutation(len(found))
    return [found[index] for index in sorted(order[:count])]


def work(options: argparse.Namespace) -> None:
    """In a process of its own: visit the networks whose numbers come in, and print what was found."""
    from nas.graph import Tracer
    from nas.latency.networks import arch_network
    from nas.space import Arch, SearchSpace, Skeleton
    from nas.timing import LatencyTable, Network, Protocol
    from nas.timing.device import pinned
    from nas.timing.load import LoadGate
    from nas.timing.protocol import SessionVisitor

    source = LatencyTable.read(options.table).sources[0]
    tracer = Tracer(SearchSpace.from_json(source.space), Skeleton.from_json(source.skeleton))
    models = []
    for timing in networks(options.table, count=options.networks, most_ms=options.most_ms):
        models.append(arch_network(Arch.from_json(timing.description["arch"]), tracer).model())
    visitor = SessionVisitor(Protocol(), threads=1, rng=np.random.default_rng(0))
    with pinned(1) as pinning:
        gate = LoadGate(pinning.cores)
        print(json.dumps({"networks": len(models)}), flush=True)
        for line in sys.stdin:
            model = models[int(line)]
            gate.mark()
            visit = visitor(Network("network", "network", lambda model=model: model))
            operators = [(found.name, found.kind, found.ms) for found in visit.operators]
            told = {"wall": visit.wall_ms, "ops": operators, "foreign": gate.foreign()}
            print(json.dumps(told), flush=True)


def visits(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """New visits of all three, as they are made."""
    arguments = [str(options.table), f"--networks={options.networks}", f"--most-ms={options.most_ms}"]
    command = [sys.executable, __file__, *arguments, "--work"]
    usual = os.environ.get("PYTHONPATH", "")
    workers = {
        version: subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{options.other}:{usual}" if version == OTHER else usual},
        )
        for version in (INSTALLED, OTHER, AGAIN)
    }
    counts = [json.loads(worker.stdout.readline()) for worker in workers.values() if worker.stdout]
    count = counts[0]["networks"]
    rng = np.random.default_rng(options.seed)
    for _ in range(options.rounds):
        for net in rng.permutation(count).tolist():
            for version in rng.permutation(list(workers)).tolist():
                worker = workers[version]
                assert worker.stdin is not None
                assert worker.stdout is not None
                print(net, file=worker.stdin, flush=True)
                yield {"net": net, "version": version, **json.loads(worker.stdout.readline())}
    for worker in workers.values():
        worker.stdin.close()  # type: ignore[union-attr]
        worker.wait()


def label(found: Sequence[dict[str, Any]]) -> float:
    """The protocol's label of several visits."""
    from nas.timing.profile import OperatorTime, minima
    from nas.timing.protocol import undisturbed_ms

    wall = [ms for visit in found for ms in visit["wall"]]
    return undisturbed_ms(wall, minima([[OperatorTime(*ms) for ms in visit["ops"]] for visit in found]))


def show(options: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> None:
    """Print how versions, and load, change labels."""
    by: defaultdict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by[row["net"], row["version"]].append(row)
    labels = {key: label(found) for key, found in by.items()}
    nets = sorted({net for net, _ in by})
    timings = networks(options.table, count=options.networks, most_ms=options.most_ms)
    load = [row["foreign"] for row in rows if row["foreign"] is not None]
    few = min(map(len, by.values()))
    print(f"{len(nets)} networks, {few} visits or more; others used {np.median(load):.0%} of the processor")
    for one, another in ((OTHER, INSTALLED), (AGAIN, INSTALLED)):
        _print(f"{one} / {installed_name(another)}", [labels[n, one] / labels[n, another] for n in nets])
    for version in (INSTALLED, AGAIN):
        _print(f"{version} / table", [labels[n, version] / timings[n].measured_ms for n in nets])


def installed_name(version: str) -> str:
    """With its number."""
    from nas.timing.session import runtime_version

    return f"{version} {runtime_version()}"


def _print(name: str, ratios: Sequence[float]) -> None:
    errors = np.array(ratios) - 1
    size = np.abs(errors)
    print(f"{name:<34} median {np.median(errors):+.1%}, nine in ten within {np.quantile(size, 0.9):.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--other", type=Path, help="a folder that holds another onnxruntime")
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--most-ms", type=float, default=40.0, help="leave slower networks out")
    parser.add_argument("--rounds", type=int, default=4, help="to add; 0 only shows")
    parser.add_argument("--seed", type=int, default=0, help="of the order of visits")
    parser.add_argument("--out", type=Path, default=Path("versions.jsonl"))
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    if options.rounds:
        with options.out.open("a", encoding="utf-8") as file:
            for visit in visits(options):
                file.write(json.dumps(visit) + "\n")
                file.flush()
    show(options, [json.loads(line) for line in options.out.read_text(encoding="utf-8").splitlines()])


if __name__ == "__main__":
    main()
