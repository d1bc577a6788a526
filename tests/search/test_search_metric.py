"""What is searched for: refused before any work, and compared with the average pose."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from search_fakes import FakeEvaluator, fake_cost, fake_costs

from nas.cli.search_display import print_subnets
from nas.data import Annotations, load_annotations
from nas.errors import UserError
from nas.evaluate import mean_pose_baseline
from nas.evaluate.mean import mean_figures
from nas.evaluate.validate import NOBODY, Result
from nas.runs import RunFolder, load_config
from nas.search.evaluator import average_pose, require_measured
from nas.search.finalists import Finalist
from nas.search.loop import score_networks
from nas.search.measurement import Measurement
from nas.search.record import EvaluationCache, SearchRecord
from nas.search.results import NOTHING_LEARNED, LatencyPrediction, SearchResult, Subnet
from nas.search.run import SearchSettings, search_run
from nas.search.samplers import SAMPLERS
from nas.search.values import Evaluation, Interval
from nas.space import ArchManager, SearchSpace, Skeleton


@pytest.mark.parametrize(
    ("metric", "said"), [("PCK_torso@0.2", r"`pck: {torso: \[JOINT, JOINT\]}`"), ("nonsense", "is not known")]
)
def test_an_unknown_metric_is_refused_before_anything_is_looked_at(
    tmp_path: Path, metric: str, said: str
) -> None:
    """Neither data nor predictor are there, and the weights are none: the metric is what is told."""
    skeleton = tmp_path / "mine.yaml"
    skeleton.write_text(json.dumps({**Skeleton.load("coco17").to_json(), "name": "mine", "pck": {}}))
    config = load_config("demo", [f"skeleton={skeleton}", f"data.root={tmp_path / 'nowhere'}"])
    run = RunFolder.start(tmp_path / "run", config)
    run.weights_file.write_bytes(b"no weights")
    with pytest.raises(UserError, match=f"metric .*{said}"):
        search_run(run, SearchSettings(budgets_ms=[1.0], metric=metric))
    assert not run.search_folder.exists()


def people(folder: Path, name: str, *, count: int, side: float, seed: int) -> Annotations:
    """`count` people in boxes of this side, one an image, who stand nearly alike."""
    rng = np.random.default_rng(seed)
    skeleton = Skeleton.load("coco17")
    pose = np.random.default_rng(9).uniform(0.1, 0.9, (len(skeleton), 2))
    rows, images = [], []
    for number in range(1, count + 1):
        points = side * (pose + rng.normal(0, 0.02, pose.shape))
        keypoints = np.column_stack([points, np.full(len(points), 2)]).ravel().tolist()
        rows.append({
            "id": number, "image_id": number, "category_id": 1, "keypoints": keypoints, "iscrowd": 0,
            "num_keypoints": len(skeleton), "bbox": [0, 0, side, side], "area": side**2 / 2,
        })  # fmt: skip
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 500, "height": 500})
    categories = [{"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}]
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))
    return load_annotations(file, None, skeleton)


def test_the_average_pose_is_that_of_training_and_scored_on_the_search_people(tmp_path: Path) -> None:
    large = people(tmp_path, "large", count=12, side=200, seed=1)
    small = people(tmp_path, "small", count=4, side=30, seed=2)
    training = [large.select(range(1, 11)), small.select([1, 2, 3])]
    search = [large.select([11, 12]), small.select([4])]
    found = average_pose(training, search)
    of_large, of_small = (mean_pose_baseline(*pair).figures for pair in zip(training, search, strict=True))
    assert found["AP"] == pytest.approx((2 * of_large["AP"] + of_small["AP"]) / 3)
    assert 0 < found["AP"] <= 1
    # A source that has nobody of a size says nothing of it.
    assert of_small["AP_large"] == NOBODY
    assert found["AP_large"] == of_large["AP_large"]
    # A source of which the split holds nothing is not asked.
    assert average_pose(training, search[:1])["AP"] == of_large["AP"]


def test_people_of_a_size_are_added_up() -> None:
    sets = [
        Result({"AP": ap, "people_small": small}, [], flip=False, images=1, people=people)
        for ap, small, people in ((0.2, 3, 10), (0.8, 4, 30))
    ]
    assert mean_figures(sets) == {"AP": pytest.approx(0.65), "people_small": 7}


def test_a_metric_needs_somebody_to_measure() -> None:
    nobody = mean_figures([Result({"AP": NOBODY, "PCK_torso@0.2": 0.5}, [], flip=False, images=1, people=1)])
    require_measured("PCK_torso@0.2", nobody)
    with pytest.raises(UserError, match=r"metric AP: .*nobody to measure"):
        require_measured("AP", nobody)
    with pytest.raises(UserError, match=r"metric CrowdPose_AP: .*they can by AP, PCK_torso@0\.2"):
        require_measured("CrowdPose_AP", nobody)
    with pytest.raises(UserError, match="nobody to measure"):
        require_measured("AP", mean_figures([Result({"AP": 0.5}, [], flip=False, images=1, people=0)]))


HERE = Measurement(ms=1, network_ms=1, grouping_ms=0, median_ms=1, p95_ms=1, loaded=False)


def found(space: SearchSpace, accuracies: tuple[float, float], average: float | None) -> SearchResult:
    manager = ArchManager(space)
    archs = (manager.smallest(), manager.largest())
    items = [
        Evaluation(a, 1.0, value, {"AP": value, "AP50": 0.9})
        for a, value in zip(archs, accuracies, strict=True)
    ]
    predicted = LatencyPrediction(Interval(1, 0.9, 1.1), Interval(1, 0.9, 1.1))
    facts = {"metric": "AP", "refinement": []}
    if average is not None:
        facts["average_pose"] = {"AP": average, "AP50": 0.123}
    return SearchResult(
        subnets=tuple(Subnet(i + 1.0, item, HERE, predicted) for i, item in enumerate(items)),
        unmet_ms=(),
        measured=tuple(Finalist(item, HERE) for item in items),
        history=tuple(items),
        facts=facts,
        predicted={item.arch.id: predicted for item in items},
    )


@pytest.mark.parametrize(
    ("average", "whole", "each", "lines"),
    [
        (0.1, True, [True, True], []),
        (0.3, True, [False, True], ["1ms-"]),
        (0.4, False, [False, False], [NOTHING_LEARNED]),
        (0.5, False, [False, False], [NOTHING_LEARNED]),
        (None, None, [None, None], []),
    ],
)
def test_what_is_no_better_than_the_average_pose_is_said(
    space: SearchSpace,
    average: float | None,
    whole: bool | None,
    each: list[bool | None],
    lines: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = found(space, (0.2, 0.4), average)
    written = result.to_json()
    assert written["average_pose_accuracy"] == average
    assert written["better_than_average_pose"] is whole
    assert [entry["better_than_average_pose"] for entry in written["subnets"]] == each
    print_subnets(result)
    printed = capsys.readouterr().out
    assert ("average pose" in printed) == (average is not None)
    assert ("0.123" in printed) == (average is not None)
    said = [line for line in printed.splitlines() if "average pose" in line and "0.123" not in line]
    assert len(said) == len(lines)
    assert all(line.startswith(begin) for line, begin in zip(said, lines, strict=True))


def test_the_metric_that_was_searched_for_is_shown(
    space: SearchSpace, capsys: pytest.CaptureFixture[str]
) -> None:
    result = found(space, (0.2, 0.4), None)
    items = [replace(item, scores={**item.scores, "PCK_torso@0.2": 0.777}) for item in result.history]
    subnets = tuple(replace(s, item=i) for s, i in zip(result.subnets, items, strict=True))
    print_subnets(replace(result, subnets=subnets, facts={"metric": "PCK_torso@0.2"}))
    assert "0.777" in capsys.readouterr().out


def test_intervals_ties_and_stopped_networks_are_told(
    space: SearchSpace, capsys: pytest.CaptureFixture[str]
) -> None:
    result = found(space, (0.2, 0.4), None)
    first, second = (replace(item, interval=(0.151, 0.257)) for item in result.history)
    stopped = replace(second, scores={"AP": 0.4, "stopped_at": 50})
    subnet = replace(result.subnets[0], item=first, tied=("abc123", "def456"))
    print_subnets(replace(result, subnets=(subnet,), history=(first, stopped)))
    printed = " ".join(capsys.readouterr().out.split())
    assert "2 networks scored (1 stopped early)" in printed
    assert "0.151 - 0.257" in printed
    assert f"{subnet.name} is as accurate as abc123, def456" in printed


def test_a_limit_that_this_system_cannot_measure_is_told(
    space: SearchSpace, capsys: pytest.CaptureFixture[str]
) -> None:
    result = found(space, (0.2, 0.4), None)
    print_subnets(replace(result, facts={**result.facts, "limits": {"memory_mb": 40.0}}))
    assert "held by prediction alone" in capsys.readouterr().err


def test_scores_that_lack_the_metric_are_taken_anew(space: SearchSpace, tmp_path: Path) -> None:
    """As those of before a skeleton had its `pck:`."""
    evaluate, cache = FakeEvaluator(), EvaluationCache(tmp_path / "evaluations.jsonl")
    arch = ArchManager(space).smallest()
    cache.add(evaluate.key, arch, {"AP": 0.3})
    record = SearchRecord(
        space, storage=f"sqlite:///{tmp_path / 'study.db'}", key="k", metric="AP50", cost=fake_cost
    )
    history = score_networks(
        SAMPLERS["surrogate"](space, fake_costs, budgets_ms=[1e9], seed=0),
        evaluate,
        record=record,
        cache=cache,
        budgets_ms=[1e9],
        trials=4,
        report=lambda _: None,
    )
    assert arch in evaluate.asked
    assert all("AP50" in item.scores for item in history)
    known = EvaluationCache(tmp_path / "evaluations.jsonl").get(evaluate.key, arch)
    assert known is not None
    assert "AP50" in known
