"""onnxruntime's profile files: how long every operator of every run took."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

EDGE = "edge_"
"""What names of our own exported nodes begin with (`nas.graph.builder.EDGE`; that needs torch)."""

_SUFFIX = "_kernel_time"
_NUMBERED = re.compile(r"_token_\d+$")
# Operators that only hold a sub-graph: its operators have events of their own.
_CONTAINERS = frozenset({"If", "Loop", "Scan"})


# Name, kind and index in the graph.
_Key = tuple[str, str, str]


@dataclass(frozen=True)
class OperatorTime:
    """One operator of the optimised graph: its unique name, its kind (ONNX operator type) and its time.

    Operators that onnxruntime inserts itself (changes of layout) are numbered anew in every session and may
    change order; they go by kind and shape instead, so that the same one has the same name in every visit.
    """

    name: str
    kind: str
    ms: float


def parse_profile(path: Path) -> list[tuple[OperatorTime, ...]]:
    """The operators' times of every run, in order of execution, of a finished profile file.

    Operators that ran several times in one run (loop bodies) are summed. Two operators of one name are told
    apart by a suffix. Raises ValueError where the file holds no complete run.
    """
    return split_runs(json.loads(path.read_text(encoding="utf-8")))


def split_runs(events: list[dict[str, Any]]) -> list[tuple[OperatorTime, ...]]:
    """As `parse_profile`, of events in memory."""
    runs = []
    durations: dict[_Key, int] = {}
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith(_SUFFIX):
            arguments = event["args"]
            if arguments["op_name"] in _CONTAINERS:
                continue
            name, kind = event["name"].removesuffix(_SUFFIX), arguments["op_name"]
            # A fused operator is numbered too, but keeps the name that our own exporter gave it.
            if name.startswith(EDGE):
                name = _NUMBERED.sub("", name)
            elif name == kind or _NUMBERED.search(name):
                name = f"{kind} {_shape(arguments)}"
            key = (name, kind, arguments["node_index"])
            durations[key] = durations.get(key, 0) + event["dur"]
        elif event["cat"] == "Session" and event["name"] == "model_run":
            runs.append(_operator_times(durations))
            durations = {}
    if not runs:
        raise ValueError("the profile holds no complete run")
    return runs


def minima(runs: Sequence[tuple[OperatorTime, ...]]) -> tuple[OperatorTime, ...]:
    """Every operator's shortest time, in the first run's order.

    Raises ValueError where the runs consist of different operators.
    """
    aligned = [align(run, runs[0]) for run in runs]
    return tuple(
        replace(same[0], ms=min(operator.ms for operator in same)) for same in zip(*aligned, strict=True)
    )


def align(run: tuple[OperatorTime, ...], order: Sequence[OperatorTime]) -> tuple[OperatorTime, ...]:
    """The operators of a run in the order of another. Raises ValueError where they are not the same."""
    times = {(operator.name, operator.kind): operator for operator in run}
    wanted = [(operator.name, operator.kind) for operator in order]
    if times.keys() != set(wanted):
        raise ValueError("the runs consist of different operators")
    return tuple(times[key] for key in wanted)


def _shape(arguments: Mapping[str, Any]) -> str:
    """The sizes of an operator's first output, such as "1x24x32x32"."""
    outputs = arguments.get("output_type_shape") or [{}]
    return "x".join(str(size) for sizes in outputs[0].values() for size in sizes)


def _operator_times(durations: dict[_Key, int]) -> tuple[OperatorTime, ...]:
    times = []
    seen: dict[str, int] = {}
    for (name, kind, _), microseconds in durations.items():
        count = seen[name] = seen.get(name, 0) + 1
        times.append(OperatorTime(name if count == 1 else f"{name}#{count}", kind, microseconds / 1000))
    return tuple(times)
