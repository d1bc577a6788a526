"""Boxes, keypoint similarity and assignment against plain float64 formulas."""

import itertools
import math

import numpy as np
import pytest
import torch

from nas.evaluate.similarity import oks
from nas.heads.boxes import complete_overlap_loss, intersection_over_union
from nas.heads.similarity import object_keypoint_similarity, relative_distance
from nas.heads.simota import one_to_many, one_to_one, reach
from nas.space.skeleton import Skeleton

SIGMAS = Skeleton.load("crowdpose14").sigmas


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    low = rng.uniform(0, 60, (count, 2))
    return np.concatenate([low, low + rng.uniform(1, 60, (count, 2))], axis=1)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def aspect(a: np.ndarray, b: np.ndarray) -> float:
    angles = [math.atan((box[2] - box[0]) / (box[3] - box[1])) for box in (a, b)]
    return 4 / math.pi**2 * (angles[0] - angles[1]) ** 2


def trade_off(a: np.ndarray, b: np.ndarray) -> float:
    return aspect(a, b) / (1 - overlap(a, b) + aspect(a, b))


def ciou(a: np.ndarray, b: np.ndarray, alpha: float) -> float:
    """Equations 8 to 11 of Zheng et al. (2020), one pair of boxes."""
    middles = (np.array([a[0] + a[2], a[1] + a[3]]) - np.array([b[0] + b[2], b[1] + b[3]])) / 2
    diagonal = (max(a[2], b[2]) - min(a[0], b[0])) ** 2 + (max(a[3], b[3]) - min(a[1], b[1])) ** 2
    return 1 - overlap(a, b) + (middles**2).sum() / diagonal + alpha * aspect(a, b)


def test_complete_overlap_loss_is_the_papers() -> None:
    rng = np.random.default_rng(0)
    boxes, targets = random_boxes(rng, 50), random_boxes(rng, 50)
    expected = [ciou(a, b, trade_off(a, b)) for a, b in zip(boxes, targets, strict=True)]
    found = complete_overlap_loss(torch.from_numpy(boxes), torch.from_numpy(targets))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(
        complete_overlap_loss(found.new_tensor(boxes), found.new_tensor(boxes)), 0, atol=1e-9
    )


def test_gradient_of_complete_overlap_loss_keeps_the_trade_off_fixed() -> None:
    rng = np.random.default_rng(1)
    for a, b in zip(random_boxes(rng, 20), random_boxes(rng, 20), strict=True):
        box = torch.tensor(a, requires_grad=True)
        complete_overlap_loss(box, torch.from_numpy(b)).backward()
        alpha, step = trade_off(a, b), 1e-5
        slopes = [
            (ciou(a + step * unit, b, alpha) - ciou(a - step * unit, b, alpha)) / (2 * step)
            for unit in np.eye(4)
        ]
        assert box.grad is not None
        np.testing.assert_allclose(box.grad, slopes, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(
    "box",
    [[5.0, 5.0, 5.0, 5.0], [0.0, 0.0, 1e-9, 50.0], [-1e7, -1e7, 1e7, 1e7], [100.0, 100.0, 101.0, 101.0]],
)
def test_odd_boxes_have_a_finite_loss_and_gradient(box: list[float]) -> None:
    for target in ([5.0, 5.0, 5.0, 5.0], [0.0, 0.0, 30.0, 60.0]):
        found = torch.tensor(box, requires_grad=True)
        loss = complete_overlap_loss(found, torch.tensor(target))
        loss.backward()
        assert found.grad is not None
        assert torch.isfinite(loss)
        assert torch.isfinite(found.grad).all()


def test_similarity_is_that_of_the_evaluation() -> None:
    rng = np.random.default_rng(2)
    found, truth = rng.uniform(0, 100, (6, 14, 2)), rng.uniform(0, 100, (4, 14, 3))
    truth[..., 2] = rng.integers(0, 2, (4, 14))
    areas = rng.uniform(100, 9000, 4)
    ours = object_keypoint_similarity(
        torch.from_numpy(found),
        torch.from_numpy(truth)[:, None],
        torch.from_numpy(areas)[:, None],
        torch.tensor(SIGMAS, dtype=torch.float64),
    )
    np.testing.assert_allclose(ours, oks(found, truth, areas=areas, sigmas=SIGMAS).T, rtol=1e-6, atol=1e-12)


def test_similarity_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    joints = torch.cat([torch.rand(2, 14, 2, generator=generator) * 30, torch.ones(2, 14, 1)], dim=2).double()
    joints[0, 3, 2] = 0
    found = (joints[..., :2] + torch.randn(2, 14, 2, generator=generator)).requires_grad_()
    areas, sigmas = torch.tensor([900.0, 400.0]).double(), torch.tensor(SIGMAS).double()
    assert torch.autograd.gradcheck(lambda x: object_keypoint_similarity(x, joints, areas, sigmas), (found,))


def test_distance_is_relative_to_the_person_and_has_a_gradient_far_away() -> None:
    joints = torch.tensor([[[50.0, 20.0, 1.0], [0.0, 0.0, 0.0], [10.0, 10.0, 1.0]]], dtype=torch.float64)
    found = torch.tensor([[[70.0, 20.0], [9e9, 9e9], [11.0, 10.0]]], dtype=torch.float64, requires_grad=True)
    loss = relative_distance(found, joints, torch.tensor([400.0]))
    # 20 px are one size: 1 - 0.05; 1 px is a twentieth of it: 0.05^2 / 0.2.
    assert loss.item() == pytest.approx((0.95 + 0.0125) / 2)
    loss.backward()
    assert found.grad is not None
    np.testing.assert_allclose(found.grad[0], [[1 / 40, 0], [0, 0], [1 / 80, 0]])


def test_cells_in_or_near_the_middle_of_a_box_may_answer() -> None:
    cells = torch.tensor(
        [[4.0, 4.0, 8.0], [20.0, 28.0, 8.0], [39.0, 59.0, 8.0], [55.0, 30.0, 16.0], [90.0, 9.0, 8.0]]
    )
    allowed, best = reach(cells, torch.tensor([[0.0, 0.0, 40.0, 60.0]]))
    assert allowed.tolist() == [[True, True, True, True, False]]
    assert best.tolist() == [[False, True, False, False, False]]


def plain_one_to_many(cost: np.ndarray, overlaps: np.ndarray, allowed: np.ndarray) -> set[tuple[int, int]]:
    """SimOTA person by person and cell by cell."""
    wanted: dict[int, list[int]] = {}
    for person in range(len(cost)):
        best = sorted(
            (overlaps[person, a] if allowed[person, a] else 0.0 for a in range(cost.shape[1])), reverse=True
        )
        answers = max(1, int(sum(best[:10])))
        mine = [a for a in range(cost.shape[1]) if allowed[person, a]]
        for cell in sorted(mine, key=lambda a: (cost[person, a], a))[:answers]:
            wanted.setdefault(cell, []).append(person)
    return {(cell, min(people, key=lambda p: (cost[p, cell], p))) for cell, people in wanted.items()}


@pytest.mark.parametrize("seed", range(20))
def test_one_to_many_is_the_plain_algorithm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people, cells = int(rng.integers(1, 9)), int(rng.integers(4, 60))
    cost = rng.integers(0, 12, (people, cells)).astype(np.float64)  # with ties
    overlaps, allowed = rng.random((people, cells)), rng.random((people, cells)) < 0.6
    found = one_to_many(torch.from_numpy(cost), torch.from_numpy(overlaps), torch.from_numpy(allowed))
    pairs = list(zip(*(part.tolist() for part in found), strict=True))
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == plain_one_to_many(cost, overlaps, allowed)


@pytest.mark.parametrize("seed", range(20))
def test_one_to_one_costs_least_of_all_assignments(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people, cells = int(rng.integers(1, 5)), int(rng.integers(5, 7))
    cost, allowed = rng.random((people, cells)), rng.random((people, cells)) < 0.8
    allowed[:, 0] = allowed[np.arange(people), np.arange(people) + 1] = True
    found, owners = one_to_one(torch.from_numpy(cost), torch.zeros(1), torch.from_numpy(allowed))
    assert sorted(owners.tolist()) == list(range(people))
    assert len(set(found.tolist())) == people
    assert allowed[owners, found].all()
    possible = np.where(allowed, cost, np.inf)
    least = min(
        possible[np.arange(people), list(order)].sum()
        for order in itertools.permutations(range(cells), people)
    )
    assert possible[owners, found].sum() == pytest.approx(least)


def test_a_person_without_a_possible_cell_gets_none() -> None:
    cost, allowed = torch.rand(2, 5), torch.ones(2, 5, dtype=torch.bool)
    allowed[1] = False
    for assign in (one_to_many, one_to_one):
        _, owners = assign(cost, torch.rand(2, 5), allowed)
        assert 0 in owners
        assert 1 not in owners


def test_overlap_of_empty_boxes_is_zero() -> None:
    empty = torch.zeros(4)
    assert intersection_over_union(empty, empty) == 0
