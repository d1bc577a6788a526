"""Packs: folders to copy to another device, which measure networks there."""

import gzip
import hashlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nas.errors import UserError
from nas.files import new_folder
from nas.progress import duration
from nas.timing.channel_block import probe_model
from nas.timing.grouping import Grouping
from nas.timing.loop import expected_seconds
from nas.timing.manifest import PROGRAM, README, Manifest, PackedModel, PackedNetwork
from nas.timing.pack_program import build_program
from nas.timing.protocol import Network, Protocol
from nas.timing.session import runtime_version
from nas.timing.table import Source

_NETWORKS = "networks"
_ALWAYS = ("numpy", "onnxruntime")


def write_pack(
    folder: Path,
    networks: Sequence[Network],
    *,
    sources: Sequence[Source] = (),
    protocol: Protocol | None = None,
    threads: int = 1,
    seed: int = 0,
) -> Manifest:
    """Write everything that another device needs to time these networks into a new folder.

    Args:
        folder: must not exist yet, or be empty; it appears only when it is complete.
        networks: of `nas.latency.networks`.
        sources: what they were drawn from; a predictor can be fitted only where it is known.
        threads: of onnxruntime on the device.
        seed: of the order of visits and of the inputs.

    Raises:
        UserError: the folder is taken or cannot be written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; give another `folder`")
    with new_folder(folder) as draft:
        (draft / _NETWORKS).mkdir()
        manifest = Manifest(
            protocol=protocol or Protocol(),
            threads=threads,
            seed=seed,
            sources=sources,
            probe=_write_model(draft, "channel-block-probe.onnx.gz", probe_model()),
            networks=[_pack(draft, network) for network in {item.key: item for item in networks}.values()],
        )
        manifest.write(draft)
        (draft / PROGRAM).write_bytes(build_program())
        (draft / README).write_text(_readme(manifest, folder.name), encoding="utf-8")
    return manifest


def needed_packages(manifest: Manifest) -> tuple[str, ...]:
    """What has to be installed on the device besides Python."""
    groupings = [network.grouping for network in manifest.networks if network.grouping is not None]
    return tuple(sorted({*_ALWAYS, *(package for grouping in groupings for package in grouping.packages)}))


def _pack(folder: Path, network: Network) -> PackedNetwork:
    grouping = network.outside
    if grouping is not None and not isinstance(grouping, Grouping):
        raise TypeError(f"{network.name}: only a codec's grouping can be packed, not {grouping!r}")
    return PackedNetwork(
        key=network.key,
        name=network.name,
        model=_write_model(folder, f"{_NETWORKS}/{network.key}.onnx.gz", network.model()),
        description=dict(network.description),
        grouping=grouping,
    )


def _write_model(folder: Path, file: str, model: bytes) -> PackedModel:
    # Drawn networks have zeros for weights, which do not change timings: they shrink to nothing.
    (folder / file).write_bytes(gzip.compress(model, mtime=0))
    return PackedModel(file, hashlib.sha256(model).hexdigest())


def _readme(manifest: Manifest, folder: str) -> str:
    protocol, packages = manifest.protocol, needed_packages(manifest)
    visits = protocol.visits * len(manifest.networks)
    seconds = expected_seconds([network.network(Path()) for network in manifest.networks], protocol, {})
    long = "" if seconds is None else f" On a PC that takes about {duration(seconds)}."
    threads = "one thread" if manifest.threads == 1 else f"{manifest.threads} threads"
    grouping = ""
    if more := [package for package in packages if package not in _ALWAYS]:
        names = " and ".join(more)
        grouping = f"""
{names}: for timing how joints are grouped into people. Where it cannot be installed, run
`python {PROGRAM} --without-grouping`: the table then holds the networks' own time alone, which a search under
budgets cannot use. Installed later, run the program once more: it adds the grouping's time.
"""
    return f"""# Timing networks on this device

Made by pose-nas {_version()}, with onnxruntime {runtime_version()}: {len(manifest.networks)} networks,
{protocol.visits} visits to each, on {threads}.

## Install

Python 3.11 or newer, {", ".join(packages[:-1])} and {packages[-1]}. Nothing else.

    python3 -m venv venv && venv/bin/pip install {" ".join(packages)}    # most systems
    pkg install python {" ".join(f"python-{package}" for package in packages)}    # Termux on a phone

Timings hold for the onnxruntime they were taken with: install the one that the device will be used with.
{grouping}
## Run

    python {PROGRAM}        # with the environment from above: venv/bin/python {PROGRAM}

It makes {visits} visits.{long} Smaller devices take several times as long;
the remaining time shows after some visits. Stop it whenever you like (Ctrl-C, or switch the device off): the
same command continues.

Times are only as good as the device is quiet. Stop what else runs, use mains power, and keep the device cool:
a hot one lowers its clock. On a phone keep the screen on or run `termux-wake-lock` first. On Linux,
`sudo cpupower frequency-set -g performance` holds the clock where the system allows it.
What cannot be controlled on a device, the program says when it begins.

## Copy back

The file `table-*.jsonl` that appears beside {PROGRAM}. Then, where the pack was made:

    nas latency import table-XXXXXXXXXXXX.jsonl --pack {folder}
"""


def _version() -> str:
    try:
        return version("pose-nas")
    except PackageNotFoundError:
        return "from a checkout"
