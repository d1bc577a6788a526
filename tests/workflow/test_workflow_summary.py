"""What a way came to: figures over all validation sets, and what is said of them."""

from pathlib import Path
from typing import Any

import pytest

from nas.cli.workflow_display import print_summary
from nas.evaluate import Result
from nas.space import ArchManager, SearchSpace
from nas.workflow.people import DrawnCount
from nas.workflow.search_step import Winner
from nas.workflow.summary import FinishedSubnet, summarise

FOUND = {
    "name": "5ms-abc", "arch": "abc", "budget_ms": 5.0, "predicted_ms": 4.0, "measured_ms": 4.5,
    "loaded": True, "inherited_ap": 0.1,
}  # fmt: skip


def result(ap: float, people: int) -> Result:
    return Result({"AP": ap, "AP50": 2 * ap}, [], flip=False, images=people, people=people)


def summary(drawn: DrawnCount | None, *, boxes: str) -> dict[str, Any]:
    winner = Winner(
        FOUND, ArchManager(SearchSpace.load("demo")).smallest(), Path("subnets/5ms-abc.safetensors")
    )
    finished = FinishedSubnet(winner, [result(0.2, 10), result(0.4, 30)], drawn)
    return summarise(
        {"unmet_budgets_ms": [0.1], "scored": 12, "device": {}},
        [finished],
        [result(0.0, 10), result(0.04, 30)],
        boxes=boxes,
        threads=2,
    )


def test_figures_are_those_of_all_sets_weighted_by_people() -> None:
    found = summary(DrawnCount(matched=7, drawn=5), boxes="true ones")
    (subnet,) = found["subnets"]
    assert subnet["finetuned_ap"] == pytest.approx(0.35)
    assert subnet["finetuned_pck"] is None  # a skeleton without a torso
    assert subnet["onnx"] == str(Path("subnets/5ms-abc.onnx").absolute())
    assert found["baseline_ap"] == pytest.approx(0.03)
    assert found["validation"] == {"images": 40, "people": 40, "flip": False, "boxes": "true ones"}
    assert found["networks_scored"] == 12


@pytest.mark.parametrize("crops", [True, False])
def test_what_is_told_is_true_of_crops_and_of_whole_images(
    crops: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = DrawnCount(matched=7, drawn=5) if crops else None
    print_summary(Path("runs/a"), summary(drawn, boxes="true ones" if crops else "none"))
    told = capsys.readouterr()
    assert "5ms-abc" in told.out
    assert ("in their true boxes" in told.out) == crops
    assert ("`nas predict` draws 5" in told.out) == crops
    assert str(Path("runs/a/report/index.html")) in told.out
    assert "times may be too long" in told.out
    assert "0.1 ms: no network was measured within it" in told.err
