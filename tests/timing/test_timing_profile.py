"""Reading onnxruntime's profiles."""

from typing import Any

import pytest

from nas.timing.channel_block import block_of, detect_channel_block
from nas.timing.profile import OperatorTime, minima, split_runs

RUN = {"cat": "Session", "name": "model_run", "dur": 100, "args": {}}
LOADING = {"cat": "Session", "name": "model_loading_array", "dur": 1, "args": {}}


def _node(
    name: str, kind: str, microseconds: int, index: int = 0, *, event: str = "kernel_time"
) -> dict[str, Any]:
    arguments = {"op_name": kind, "node_index": str(index)}
    return {"cat": "Node", "name": f"{name}_{event}", "dur": microseconds, "args": arguments}


def test_runs_are_split_and_other_events_left_out() -> None:
    events = [
        LOADING,
        _node("a", "Conv", 1, 0, event="fence_before"),
        _node("a", "Conv", 900, 0),
        RUN,
        _node("a", "Conv", 500, 0),
        RUN,
        _node("a", "Conv", 7, 0),  # a run that was not finished
    ]
    assert split_runs(events) == [(OperatorTime("a", "Conv", 0.9),), (OperatorTime("a", "Conv", 0.5),)]


def test_operators_of_one_name_stay_apart_and_loop_bodies_add_up() -> None:
    events = [
        _node("a", "Relu", 10, 1),
        _node("a", "Relu", 20, 2),
        _node("body", "Add", 3, 3),
        _node("body", "Add", 4, 3),
        _node("loop", "Loop", 1000, 4),
        RUN,
    ]
    (run,) = split_runs(events)
    assert run == (
        OperatorTime("a", "Relu", 0.01),
        OperatorTime("a#2", "Relu", 0.02),
        OperatorTime("body", "Add", 0.007),
    )


def test_fused_operators_keep_the_name_that_the_exporter_gave_and_inserted_ones_go_by_shape() -> None:
    shaped = _node("Transpose_token_12", "Transpose", 5, 1)
    shaped["args"]["output_type_shape"] = [{"uint8": [1, 4, 4, 8]}]
    (run,) = split_runs([_node("edge_7.Conv.3_token_9", "QLinearConv", 30), shaped, RUN])
    assert [operator.name for operator in run] == ["edge_7.Conv.3", "Transpose 1x4x4x8"]


def test_a_profile_without_a_run_is_refused() -> None:
    with pytest.raises(ValueError, match="no complete run"):
        split_runs([LOADING])


def test_minima_are_taken_operator_by_operator() -> None:
    def run(first: float, second: float) -> tuple[OperatorTime, ...]:
        return OperatorTime("a", "Conv", first), OperatorTime("b", "Relu", second)

    assert minima([run(3, 1), run(2, 5)]) == run(2, 1)
    with pytest.raises(ValueError, match="different operators"):
        minima([run(1, 1), run(1, 1)[:1]])


@pytest.mark.parametrize(("channels", "block"), [(20, 1), (24, 8), (32, 16)])
def test_the_channel_block_is_read_off_padded_shapes(channels: int, block: int) -> None:
    event = _node("a", "Conv", 1)
    event["args"]["output_type_shape"] = [{"float": [1, channels, 8, 8]}]
    assert block_of([LOADING, event, RUN]) == block


def test_this_machine_has_a_channel_block() -> None:
    assert detect_channel_block() in {1, 8, 16}


def test_inserted_operators_keep_their_names_from_session_to_session() -> None:
    def reorder(name: str, channels: int, microseconds: int) -> dict[str, Any]:
        event = _node(name, "ReorderOutput", microseconds, index=channels)
        event["args"]["output_type_shape"] = [{"float": [1, channels, 8, 8]}]
        return event

    (first,) = split_runs([reorder("ReorderOutput", 24, 5), reorder("ReorderOutput_token_7", 40, 9), RUN])
    (second,) = split_runs([reorder("ReorderOutput", 40, 8), reorder("ReorderOutput_token_3", 24, 6), RUN])
    assert [operator.name for operator in first] == ["ReorderOutput 1x24x8x8", "ReorderOutput 1x40x8x8"]
    assert [operator.ms for operator in minima([first, second])] == [0.005, 0.008]
