"""onnxruntime's profile files: how long every operator of every run took."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SUFFIX = "_kernel_time"
# Operators that only hold a sub-graph: its operators have events of their own.
_CONTAINERS = frozenset({"If", "Loop", "Scan"})


@dataclass(frozen=True)
class OperatorTime:
    """One operator of the optimised graph: its unique name, its kind (ONNX operator type) and its time."""

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
    durations: dict[tuple[str, str, str], int] = {}
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith(_SUFFIX):
            arguments = event["args"]
            if arguments["op_name"] in _CONTAINERS:
                continue
            key = (event["name"].removesuffix(_SUFFIX), arguments["op_name"], arguments["node_index"])
            durations[key] = durations.get(key, 0) + event["dur"]
        elif event["cat"] == "Session" and event["name"] == "model_run":
            runs.append(_operator_times(durations))
            durations = {}
    if not runs:
        raise ValueError("the profile holds no complete run")
    return runs


def minima(runs: list[tuple[OperatorTime, ...]]) -> tuple[OperatorTime, ...]:
    """Every operator's shortest time. Raises ValueError where the runs consist of different operators."""
    first = [(operator.name, operator.kind) for operator in runs[0]]
    if any([(operator.name, operator.kind) for operator in run] != first for run in runs):
        raise ValueError("the runs consist of different operators")
    return tuple(
        OperatorTime(name, kind, min(run[index].ms for run in runs))
        for index, (name, kind) in enumerate(first)
    )


def _operator_times(durations: dict[tuple[str, str, str], int]) -> tuple[OperatorTime, ...]:
    times = []
    seen: dict[str, int] = {}
    for (name, kind, _), microseconds in durations.items():
        count = seen[name] = seen.get(name, 0) + 1
        times.append(OperatorTime(name if count == 1 else f"{name}#{count}", kind, microseconds / 1000))
    return tuple(times)
