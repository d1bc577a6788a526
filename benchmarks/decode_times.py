"""What decoding costs, head by head: the ONNX network with decode against the same network without it.

    python benchmarks/decode_times.py --out results/heads/decode.json

Each head stands on its finest neck on the smallest body of a space that carries it, so that little else is
in the difference; both networks are timed interleaved by the protocol of `nas latency time`, with arbitrary
weights; printed are medians over rounds. Grouping is what runs outside the graph afterwards, of as many
people as the head can give.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from nas.graph import Tracer, to_onnx
from nas.latency.networks import arch_network
from nas.space import Arch, ArchManager, SearchSpace
from nas.timing import describe_device
from nas.timing.loop import time_networks
from nas.timing.protocol import Network

SPACES = {"any-head-crop": (256, 192), "any-head-crowd": (512, 512)}


def pairs(skeleton: str) -> Iterator[tuple[Arch, Network, Network]]:
    """Every head's arch, its network with decode and without."""
    for name, resolution in SPACES.items():
        space = SearchSpace.load(name)
        tracer = Tracer(space, skeleton)
        for head in space.heads:
            neck = space.spec.heads[head].necks[-1]
            arch = ArchManager(space).smallest(head=head, neck=neck, resolution=resolution)
            graph = tracer(arch)
            raw = to_onnx(replace(graph, named=graph.raw_named)).SerializeToString()
            whole = arch_network(arch, tracer, name=head)
            yield arch, whole, Network(f"{whole.key}-raw", f"{head} raw", partial(bytes, raw))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--skeleton", default="coco17")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = list(pairs(arguments.skeleton))
    networks = [network for _, *both in found for network in both]
    rounds = [list(time_networks(networks)) for _ in range(arguments.rounds)]
    rows = []
    for number, (arch, _, _) in enumerate(found):
        timed = [(timings[2 * number], timings[2 * number + 1]) for timings in rounds]
        rows.append(
            {
                "head": arch.head.type,
                "neck": arch.neck.type,
                "resolution": list(arch.resolution),
                "network_ms": median(raw.measured_ms for _, raw in timed),
                "decode_ms": median(whole.measured_ms - raw.measured_ms for whole, raw in timed),
                "grouping_ms": median(whole.outside_ms for whole, _ in timed),
                "loaded": any(timing.loaded for both in timed for timing in both),
            }
        )
        row = rows[-1]
        print(
            f"{row['head']:22} {row['neck']:14} network {row['network_ms']:8.3f} ms   "
            f"decode {row['decode_ms']:7.3f} ms   grouping {row['grouping_ms']:7.3f} ms"
            f"{'   under load' if row['loaded'] else ''}"
        )
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        facts = {"device": describe_device(threads=1).to_json(), "skeleton": arguments.skeleton}
        arguments.out.write_text(json.dumps(facts | {"heads": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
