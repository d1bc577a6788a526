import json
from dataclasses import replace
from pathlib import Path

import pytest

from nas.search.finalists import Finalist
from nas.search.measurement import Measurement
from nas.search.results import LatencyPrediction, SearchResult, Subnet, former_measurements
from nas.search.values import Evaluation, Interval
from nas.space import Arch, ArchManager, SearchSpace

HERE = Measurement(
    ms=10.0,
    network_ms=2.0,
    grouping_ms=0.5,
    median_ms=2.1,
    p95_ms=2.4,
    loaded=False,
    people=3,
    detector_ms=2.5,
)


def predicted(total: float, *, in_fit: bool = False) -> LatencyPrediction:
    return LatencyPrediction(Interval(total, total - 1, total + 1), Interval(2.2, 2.0, 2.4), in_fit=in_fit)


def result_of(archs: dict[float, Arch]) -> SearchResult:
    items = {budget: Evaluation(arch, 9.5, 0.5, {"AP": 0.5}) for budget, arch in archs.items()}
    return SearchResult(
        subnets=tuple(Subnet(budget, item, HERE, predicted(9.5)) for budget, item in items.items()),
        unmet_ms=(),
        measured=tuple(Finalist(item, HERE) for item in items.values()),
        history=tuple(items.values()),
        facts={"metric": "AP"},
        predicted={item.arch.id: predicted(9.5, in_fit=True) for item in items.values()},
    )


def test_figures_say_what_a_time_consists_of_and_how_far_it_was_off(space: SearchSpace) -> None:
    figures = result_of({10.0: ArchManager(space).smallest()}).subnets[0].figures()
    expected = {
        "predicted_ms": 9.5, "low_ms": 8.5, "high_ms": 10.5, "measured_ms": 10.0, "network_ms": 2.0,
        "grouping_ms": 0.5, "people": 3, "detector_ms": 2.5, "in_interval": True, "in_fit": False,
        "predicted_network_ms": 2.2, "loaded": False,
    }  # fmt: skip
    assert {name: figures[name] for name in expected} == expected
    assert figures["error_percent"] == pytest.approx(-5.0)
    assert predicted(11.5).compared(HERE)["in_interval"] is False


def test_what_was_measured_under_load_is_held_against_a_wider_interval() -> None:
    busy = replace(HERE, ms=11.2, loaded=True, load_allowance=0.1)
    assert predicted(10.0).compared(replace(HERE, ms=11.2))["in_interval"] is False
    figures = predicted(10.0).compared(busy)
    assert figures["in_interval"] is True
    assert figures["load_allowance"] == 0.1
    assert figures["predicted_ms"] == 10.0
    expected = [9 / 1.1, 11 * 1.1, 2.0 / 1.1, 2.4 * 1.1]
    names = ("low_ms", "high_ms", "low_network_ms", "high_network_ms")
    assert [figures[name] for name in names] == pytest.approx(expected)


def test_without_a_measurement_there_is_no_error(space: SearchSpace) -> None:
    figures = predicted(9.5).compared(None)
    assert figures["predicted_ms"] == 9.5
    names = ("measured_ms", "error_percent", "in_interval", "network_ms", "loaded")
    assert [figures[name] for name in names] == [None] * 5


def test_accuracies_stand_with_their_intervals_and_estimates_are_told(space: SearchSpace) -> None:
    manager = ArchManager(space)
    scores = {"AP": 0.5, "AP/low": 0.45, "AP/high": 0.55, "AP/0.25": 0.6}
    sure = Evaluation.of(manager.smallest(), 9.5, scores, metric="AP")
    stopped = Evaluation.of(manager.largest(), 12.0, {"AP": 0.7, "stopped_at": 40}, metric="AP")
    twice = Finalist(sure, HERE).timed_again(replace(HERE, ms=10.4))
    result = SearchResult(
        subnets=(Subnet(11.0, sure, twice.measured, predicted(9.5), tied=("abc",)),),
        unmet_ms=(),
        measured=(twice,),
        history=(sure, stopped),
        facts={"metric": "AP"},
        predicted={sure.arch.id: predicted(9.5)},
    )
    written = result.to_json()
    (subnet,) = written["subnets"]
    ends = {"accuracy": 0.5, "accuracy_low": 0.45, "accuracy_high": 0.55}
    assert {name: subnet[name] for name in ends} == ends
    assert (subnet["tied_with"], subnet["inherited"]) == (["abc"], {"AP": 0.5})
    assert written["evaluated"] == [
        {"arch": sure.arch.id, "predicted_ms": 9.5, **ends},
        {"arch": stopped.arch.id, "predicted_ms": 12.0, "accuracy": 0.7, "stopped_at": 40},
    ]
    assert [entry["arch"] for entry in written["front"]] == [sure.arch.id]
    assert subnet["measured_ms"] == 10.2


def test_timings_of_before_are_read_one_by_one(space: SearchSpace, tmp_path: Path) -> None:
    item = Evaluation(ArchManager(space).smallest(), 9.5, 0.5, {"AP": 0.5})
    other = Evaluation(ArchManager(space).largest(), 9.5, 0.4, {"AP": 0.4})
    second = replace(HERE, ms=10.4, noise=0.02, drift=1.1, corrected=True)
    facts = dict.fromkeys(
        ("measured_on", "protocol", "predictor_digest", "refined_predictor_digest", "people", "detector",
         "detector_ms"), "same",
    )  # fmt: skip
    SearchResult(
        subnets=(),
        unmet_ms=(),
        measured=(Finalist(item, HERE).timed_again(second), Finalist(other, HERE)),
        history=(),
        facts=facts,
        predicted={each.arch.id: predicted(9.5) for each in (item, other)},
    ).save(tmp_path / "results.json", tmp_path / "subnets")
    known = former_measurements(tmp_path / "results.json", facts)
    assert known == {item.arch.id: (HERE, second), other.arch.id: (HERE,)}
    assert former_measurements(tmp_path / "results.json", {**facts, "people": 3}) == {}


def test_all_finalists_and_all_that_was_scored_are_kept(space: SearchSpace, tmp_path: Path) -> None:
    manager = ArchManager(space)
    result = result_of({10.0: manager.smallest(), 20.0: manager.largest()})
    result.save(tmp_path / "results.json", tmp_path / "subnets")
    written = json.loads((tmp_path / "results.json").read_text())
    assert [entry["won_budgets_ms"] for entry in written["measured"]] == [[10.0], [20.0]]
    assert all(entry["in_fit"] for entry in written["measured"])
    assert {entry["arch"] for entry in written["evaluated"]} == {manager.smallest().id, manager.largest().id}


def test_a_new_result_removes_the_subnets_of_the_former_one(space: SearchSpace, tmp_path: Path) -> None:
    manager = ArchManager(space)
    file, subnets = tmp_path / "results.json", tmp_path / "subnets"
    former = result_of({10.0: manager.smallest(), 20.0: manager.smallest(), 30.0: manager.largest()})
    former.save(file, subnets)
    names = [subnet.name for subnet in former.subnets]
    # Weights are others' work, and so is an architecture that somebody put in a subnet's place.
    (subnets / f"{names[0]}.safetensors").write_text("weights")
    manager.largest().save(subnets / f"{names[1]}.json")
    manager.smallest().save(subnets / "mine.json")
    result_of({30.0: manager.largest(), 40.0: manager.largest()}).save(file, subnets)
    kept = {names[1], names[2], f"40ms-{manager.largest().id[:6]}", "mine"}
    assert {path.stem for path in subnets.glob("*.json")} == kept
    assert (subnets / f"{names[0]}.safetensors").is_file()


def test_a_former_result_cannot_name_files_elsewhere(space: SearchSpace, tmp_path: Path) -> None:
    manager = ArchManager(space)
    file, subnets = tmp_path / "results.json", tmp_path / "subnets"
    outside = tmp_path / "outside.json"
    manager.smallest().save(outside)
    file.write_text(json.dumps({"subnets": [{"name": "../outside", "arch": manager.smallest().id}]}))
    result_of({10.0: manager.largest()}).save(file, subnets)
    assert outside.is_file()


@pytest.mark.parametrize("content", ["", "[]", '{"subnets": [{}]}', '{"subnets": null}'])
def test_a_broken_former_result_is_replaced(space: SearchSpace, tmp_path: Path, content: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(content)
    result_of({10.0: ArchManager(space).smallest()}).save(file, tmp_path / "subnets")
    assert json.loads(file.read_text())["metric"] == "AP"
