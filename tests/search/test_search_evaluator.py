"""Scoring in parts: with what a network finds made up, so that no network is run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from nas.data import Annotations, load_annotations
from nas.evaluate import score
from nas.evaluate.validate import ModelAnswers
from nas.models import PoseNet
from nas.runs.calibration import CalibrationImages
from nas.search import evaluator as module
from nas.search.evaluator import DRAWS, Part, SubnetEvaluator
from nas.search.judging import AccuracyJudge
from nas.search.record import EvaluationCache
from nas.search.scoring import Scoring
from nas.search.values import STOPPED_AT, Evaluation, is_whole
from nas.space import Arch, ArchManager, SearchSpace, Skeleton

SKELETON = Skeleton.load("coco17")
METRIC = "PCK_torso@0.2"


def people(folder: Path, name: str, *, images: int, seed: int) -> Annotations:
    """People of whom everything is labelled, up to three in an image."""
    rng = np.random.default_rng(seed)
    rows, pictures = [], []
    for image in range(1, images + 1):
        for _ in range(int(rng.integers(1, 4))):
            points = rng.uniform(0, 300, (len(SKELETON), 2))
            keypoints = np.column_stack([points, np.full(len(points), 2)]).ravel().tolist()
            rows.append({
                "id": len(rows) + 1, "image_id": image, "category_id": 1, "keypoints": keypoints,
                "iscrowd": 0, "num_keypoints": len(SKELETON), "bbox": [0, 0, 300, 300], "area": 4e4,
            })  # fmt: skip
        pictures.append({"id": image, "file_name": f"{image}.jpg", "width": 500, "height": 500})
    categories = [{"id": 1, "name": "person", "keypoints": list(SKELETON.keypoints)}]
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"images": pictures, "annotations": rows, "categories": categories}))
    return load_annotations(file, folder, SKELETON)


class FakeCalibration:
    def __init__(self, images: int = 512) -> None:
        self.images = images

    def part(self, images: int) -> "FakeCalibration":
        return FakeCalibration(images)

    def statistics(self, net: object, arch: Arch) -> int:
        return self.images


class Finder:
    """Finds people the worse the lower a network's quality is, and notes which images it was shown."""

    def __init__(self, quality: dict[str, float]) -> None:
        self.quality = quality
        self.shown: list[tuple[str, int | None]] = []

    def model(self, net: object, arch: Arch, images: int) -> tuple[Arch, int]:
        return arch, images

    def __call__(
        self, model: tuple[Arch, int], annotations: Annotations, *, images: Sequence[int] | None, **_: Any
    ) -> ModelAnswers:
        arch, _ = model
        self.shown.append((arch.id, None if images is None else len(images)))
        table = annotations.people
        # Some people are hard for every network.
        hardness = np.random.default_rng(len(table)).exponential(1.0, len(table))
        noise = np.random.default_rng(int(arch.id, 16)).normal(size=(*table.keypoints.shape[:2], 2))
        answers = table.keypoints.astype(float).copy()
        answers[..., :2] += noise * (hardness * self.quality[arch.id])[:, None, None]
        wanted = np.isin(table.image, range(len(annotations.images)) if images is None else images)
        answers[~wanted] = np.nan
        detections = [
            {
                "image_id": annotations.images[table.image[row]].id,
                "category_id": 1,
                "keypoints": answers[row].ravel().tolist(),
                "score": float(1 / (1 + hardness[row])),
            }
            for row in np.flatnonzero(wanted)
        ]
        return ModelAnswers(detections, answers)


@pytest.fixture
def archs(space: SearchSpace) -> tuple[Arch, Arch]:
    manager = ArchManager(space)
    return manager.smallest(), manager.largest()


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch, archs: tuple[Arch, Arch]) -> Finder:
    fake = Finder({archs[0].id: 12.0, archs[1].id: 10.0})
    monkeypatch.setattr(module, "find", fake)
    monkeypatch.setattr(module, "TorchModel", fake.model)
    return fake


@pytest.fixture
def sets(tmp_path: Path) -> list[Annotations]:
    return [people(tmp_path, "one", images=120, seed=1), people(tmp_path, "two", images=40, seed=2)]


@pytest.fixture
def of_all(sets: list[Annotations]) -> SubnetEvaluator:
    calibration = cast(CalibrationImages, FakeCalibration())
    return SubnetEvaluator(cast(PoseNet, torch.nn.Module()), calibration, sets, key="k")


def test_the_parts_together_are_the_whole(
    of_all: SubnetEvaluator, archs: tuple[Arch, Arch], finder: Finder, sets: list[Annotations]
) -> None:
    plain = of_all(archs[0])
    assert finder.shown == [(archs[0].id, None)] * 2
    assert all("/" not in name for name in plain)
    finder.shown.clear()
    quick = Scoring().evaluator(of_all, METRIC)
    assert quick.key != of_all.key
    scores = quick(archs[0])
    assert [count for _, count in finder.shown] == [15, 5, 15, 5, 30, 10, 60, 20]
    assert {name: scores[name] for name in plain} == pytest.approx(plain)
    assert is_whole(scores)
    assert [name for name in scores if name not in plain] == [
        f"{METRIC}/0.125", f"{METRIC}/0.25", f"{METRIC}/0.5", f"{METRIC}/low", f"{METRIC}/high",
    ]  # fmt: skip


def test_a_part_is_scored_by_its_own_people_alone(
    of_all: SubnetEvaluator, archs: tuple[Arch, Arch], finder: Finder, sets: list[Annotations]
) -> None:
    parts: list[Part] = []
    quick = Scoring().evaluator(of_all, METRIC)

    def after_a_quarter(part: Part) -> float | None:
        parts.append(part)
        return 0.25 if part.share == 0.25 else None

    scores = quick.until(archs[1], after_a_quarter)
    assert scores == {
        METRIC: 0.25,
        STOPPED_AT: parts[1].people,
        f"{METRIC}/0.125": parts[0].accuracy,
        f"{METRIC}/0.25": parts[1].accuracy,
    }
    # The same people, scored by the evaluation itself.
    total = right = 0.0
    for number, part in enumerate(sets):
        order = np.random.default_rng((number, len(part.images))).permutation(len(part.images))
        places = order[: len(order) // 4]
        answers = finder((archs[1], 64), part, images=places).answers
        seen = part.select(part.images[place].id for place in places)
        assert answers is not None
        rows = np.isin(part.people.image, places)
        figure = score([], seen, answers=answers[rows]).figures[METRIC]
        right, total = right + figure * len(seen.people), total + len(seen.people)
    assert parts[1].people == total
    assert parts[1].accuracy == pytest.approx(right / total)


def test_a_small_split_is_not_parted(archs: tuple[Arch, Arch], finder: Finder, tmp_path: Path) -> None:
    few = people(tmp_path, "few", images=20, seed=1)
    calibration = cast(CalibrationImages, FakeCalibration())
    of_few = SubnetEvaluator(cast(PoseNet, torch.nn.Module()), calibration, [few], key="k")
    scores = Scoring().evaluator(of_few, METRIC).until(archs[0], lambda _: 0.0)
    assert is_whole(scores)


def test_the_interval_is_that_of_people_drawn_anew(
    of_all: SubnetEvaluator, archs: tuple[Arch, Arch], finder: Finder
) -> None:
    quick = Scoring().evaluator(of_all, METRIC)
    scores = quick(archs[0])
    low, middle, high = scores[f"{METRIC}/low"], scores[METRIC], scores[f"{METRIC}/high"]
    assert low < middle < high
    drawn = quick.resampled(archs[0])
    assert drawn.shape == (DRAWS,)
    assert float(drawn.std()) == pytest.approx((high - low) / 3.92, rel=0.15)


def test_a_tie_is_what_pairs_of_draws_cannot_order(
    of_all: SubnetEvaluator, archs: tuple[Arch, Arch], finder: Finder, tmp_path: Path
) -> None:
    """Both find hard whom the other finds hard: intervals overlap, and yet the pairs tell them apart."""
    quick = Scoring().evaluator(of_all, METRIC)
    cache = EvaluationCache(tmp_path / "evaluations.jsonl")
    judge = AccuracyJudge(quick, of_all.for_search(METRIC, key="k"), cache=cache, metric=METRIC)
    blank = [Evaluation(arch, 1.0, 0.0) for arch in archs]
    worse, better = (judge.whole(item) for item in blank)
    assert worse.interval is not None
    assert better.interval is not None
    assert worse.accuracy < better.accuracy
    assert worse.interval[1] > better.interval[0]
    assert not judge.tied(worse, better)
    assert judge.tied(worse, worse)
    # Another process takes what this one has found out.
    finder.shown.clear()
    cold = Scoring().evaluator(of_all, METRIC)
    later = AccuracyJudge(cold, cold, cache=EvaluationCache(cache.path), metric=METRIC)
    assert [later.whole(item) for item in blank] == [worse, better]
    assert not later.tied(worse, better)
    assert finder.shown == []
    finder.quality[archs[1].id] = 11.98
    again = Scoring().evaluator(of_all, METRIC)
    alike = AccuracyJudge(again, again, cache=EvaluationCache(tmp_path / "other" / "e.jsonl"), metric=METRIC)
    assert alike.tied(*(alike.whole(item) for item in blank))


def test_a_closer_look_is_another_calibration_and_kept(
    of_all: SubnetEvaluator, archs: tuple[Arch, Arch], finder: Finder, tmp_path: Path
) -> None:
    quick = Scoring().evaluator(of_all, METRIC)
    cache = EvaluationCache(tmp_path / "evaluations.jsonl")
    judge = AccuracyJudge(quick, of_all.for_search(METRIC, key="k"), cache=cache, metric=METRIC)
    closer = judge.closer(Evaluation(archs[0], 2.5, 0.0, overrun=0.5))
    assert (closer.predicted_ms, closer.overrun) == (2.5, 0.5)
    assert cache.get("k", archs[0]) == closer.scores
    assert cache.get(quick.key, archs[0]) is None
    finder.shown.clear()
    assert judge.closer(closer) == closer
    assert finder.shown == []
