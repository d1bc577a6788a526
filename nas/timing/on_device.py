"""The program of a pack: times its networks on the device that runs it. Needs numpy and onnxruntime only."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nas.errors import UserError
from nas.interrupt import exit_code, interruptible
from nas.progress import ProgressDisplay, duration
from nas.timing.channel_block import detect_channel_block
from nas.timing.device import describe_device
from nas.timing.loop import VisitPlan, measure_networks
from nas.timing.manifest import PROGRAM, Manifest
from nas.timing.protocol import VisitOutcome
from nas.timing.timing import Timing


class PlainProgress:
    """Says on stderr how far measuring is: visits, rate, remaining time, and what was not quiet."""

    def __init__(self) -> None:
        self.taken = 0
        self._discarded = 0
        self._overwrites = sys.stderr.isatty()
        self._display = ProgressDisplay("visits", say=self._show, every=0.0 if self._overwrites else 10.0)

    def begin(self, plan: VisitPlan) -> None:
        """Say what is coming."""
        if plan.visits and plan.seconds is not None:
            _say(
                f"{plan.visits} visits, about {duration(plan.seconds)} on a PC; smaller devices take several "
                "times as long: the remaining time shows after some visits."
            )
        if plan.uncontrolled:
            _say(f"Not under control here: {', '.join(plan.uncontrolled)}.")
        if plan.visits:
            self._display.begin(0, plan.visits)

    def visited(self, outcome: VisitOutcome) -> None:
        """Count one visit."""
        self.taken += not outcome.discarded
        self._discarded += outcome.discarded
        left_out = f"{self._discarded} discarded (other processes used the processor)"
        self._display.update(self.taken, line=left_out if self._discarded else "")
        if self._overwrites and not outcome.remaining:
            _say("")

    def _show(self, line: str) -> None:
        if self._overwrites:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            _say(line)


def main(folder: Path, arguments: Sequence[str] | None = None) -> int:
    """Measure the networks of the pack in a folder; gives the exit code."""
    options = _options(arguments)
    try:
        with interruptible():
            return _measure(folder, options)
    except UserError as error:
        _say("Error: " + str(error).replace("`table`", "--table"))
        return 2
    except KeyboardInterrupt as stop:
        return exit_code(stop)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Times the networks of this folder on this device. Run it again to continue after an "
        "interruption: what was measured is kept.",
    )
    parser.add_argument(
        "--table", type=Path, help="where the timings go; by default a file beside this program"
    )
    parser.add_argument(
        "--without-grouping",
        action="store_true",
        help="go on where the joints' grouping into people cannot be timed here for want of a package",
    )
    return parser.parse_args(arguments)


def _measure(folder: Path, options: argparse.Namespace) -> int:
    manifest = Manifest.read(folder)
    manifest.check(folder)
    ungrouped = _ungrouped(manifest, allowed=options.without_grouping)
    device = describe_device(threads=manifest.threads)
    table = options.table or folder / f"table-{device.fingerprint}.jsonl"
    _say(str(device))
    progress = PlainProgress()
    try:
        timings = measure_networks(
            [network.network(folder, grouped=network.key not in ungrouped) for network in manifest.networks],
            table=table,
            sources=manifest.sources,
            channel_block=detect_channel_block(manifest.probe.read(folder)),
            threads=manifest.threads,
            rng=np.random.default_rng(manifest.seed),
            protocol=manifest.protocol,
            progress=progress,
            ungrouped=ungrouped,
        )
    except KeyboardInterrupt:
        _say(f"\nStopped after {progress.taken} visits. They are in {table}; the same command goes on there.")
        raise
    _conclude(timings, table)
    return 0


def _ungrouped(manifest: Manifest, *, allowed: bool) -> frozenset[str]:
    """The keys of networks whose grouping cannot run here. Raises UserError unless that is allowed."""
    missing: dict[str, str] = {}
    for network in manifest.networks:
        if network.grouping is not None and (module := network.grouping.missing()) is not None:
            missing[network.key] = module
    if not missing:
        return frozenset()
    modules = ", ".join(sorted(set(missing.values())))
    if not allowed:
        raise UserError(
            f"grouping the joints of {len(missing)} networks into people needs {modules}, which is not "
            "installed here; install it, or give --without-grouping: the table then lacks it, and a search "
            "under budgets cannot use it until this program was run once more with it"
        )
    _say(f"Not timed here: the grouping of joints into people of {len(missing)} networks (needs {modules}).")
    return frozenset(missing)


def _conclude(timings: Sequence[Timing], table: Path) -> None:
    if timings:
        labels = [timing.measured_ms for timing in timings]
        _say(f"{len(timings)} networks, {min(labels):.2f} to {max(labels):.2f} ms.")
    if loaded := sum(timing.loaded for timing in timings):
        _say(
            f"{loaded} of them were timed while other processes used the processor: their times are too "
            "long. Move the table away and measure again when nothing else runs."
        )
    print(table)
    _say(f"Copy {table.name} back and run there: nas latency import {table.name} --pack {table.parent.name}")


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
