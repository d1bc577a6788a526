import numpy as np
import pytest
from scipy.optimize import check_grad

from nas.search.samplers.gain import BudgetGain, FrontGain, expected_improvement
from nas.search.samplers.gaussian_process import Covariance, GaussianProcess, _improbability


def wavy(points: np.ndarray) -> np.ndarray:
    """Depends on the first two of all dimensions."""
    return np.sin(2 * points[:, 0]) + points[:, 1] ** 2


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (60, 8))


def test_the_gradient_is_that_of_the_loss(points: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    values = rng.standard_normal(60)
    centre, spread = np.zeros(10), np.full(10, 1.5)
    for _ in range(3):
        at = rng.normal(0, 0.5, 10)
        wrong = check_grad(
            lambda x: _improbability(x, points, values, centre, spread)[0],
            lambda x: _improbability(x, points, values, centre, spread)[1],
            at,
        )
        size = np.linalg.norm(_improbability(at, points, values, centre, spread)[1])
        assert wrong < 1e-4 * size


def test_it_predicts_what_it_has_not_seen_and_knows_how_well(points: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    values = wavy(points) + rng.normal(0, 0.02, len(points))
    unit = values.std()
    model = GaussianProcess(Covariance.fit(points, (values - values.mean()) / unit), points, values)
    others = rng.uniform(-1, 1, (200, 8))
    mean, std = model(others)
    errors = mean - wavy(others)
    assert np.corrcoef(mean, wavy(others))[0, 1] > 0.97
    assert 0.5 < np.sqrt(np.mean((errors / std) ** 2)) < 2
    # What does not matter gets long lengths.
    lengths = model.covariance.lengths
    assert lengths[:2].max() < lengths[2:].min()


def test_what_is_believed_is_certain_and_changes_no_mean(points: np.ndarray) -> None:
    values = wavy(points)
    model = GaussianProcess(Covariance(np.full(8, 2.0), 1.0, 0.01), points, values)
    far = np.full((1, 8), 1.5)
    believing = model.believing(far)
    assert believing(far)[1] < 0.5 * model(far)[1]
    others = np.random.default_rng(3).uniform(-1, 1, (20, 8))
    for places in (far, others):
        assert believing(places)[0] == pytest.approx(model(places)[0], rel=1e-6)
    assert np.all(believing(others)[1] <= model(others)[1] + 1e-9)
    assert model.believing(np.zeros((0, 8))) is model


def test_improvement_is_what_a_normal_variable_is_over_a_level() -> None:
    drawn = np.random.default_rng(0).normal(0.3, 0.2, 2_000_000)
    for level in (-0.2, 0.1, 0.3, 0.5, 0.9):
        found = expected_improvement(np.array(0.3), np.array(0.2), level)
        assert found == pytest.approx(np.maximum(drawn - level, 0).mean(), rel=0.02)


def test_hopeless_networks_are_still_told_apart() -> None:
    found = expected_improvement(np.array([0.0, 0.1, 0.2]), np.full(3, 0.02), 0.7)
    assert 0 < found[0] < found[1] < found[2] < 1e-100


def test_the_gain_of_a_budget_is_nought_over_it() -> None:
    gain = BudgetGain(0.0, 0.5)
    found = gain(np.full(2, 0.6), np.full(2, 0.01), np.array([-0.1, 0.1]))
    assert found == pytest.approx([0.1, 0.0])


def test_the_gain_of_a_front_is_the_area_that_a_certain_network_adds() -> None:
    gain = FrontGain(2.0, np.array([0.0, 1.0]), np.array([0.3, 0.5]), floor=0.1)
    mean, log_ms = np.array([0.4, 0.4, 0.6, 0.2, 0.4, 0.9]), np.array([0.5, -0.5, 0.5, -1.0, 1.5, 2.5])
    areas = [0.5 * 0.1, 0.5 * 0.3 + 0.1, 0.5 * 0.3 + 0.1, 0.1, 0.0, 0.0]
    assert gain(mean, np.full(6, 1e-9), log_ms) == pytest.approx(areas, abs=1e-6)
