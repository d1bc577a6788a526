"""From profiles to kernels, roofline, boosted residual, uncertainty, baselines."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from latency_samples import BLOCK, true_kernel_ms, true_visit, visit_of

from nas.graph import Tracer
from nas.latency.attribution import TimedKernels, take_apart
from nas.latency.baselines import BASELINES, Baseline
from nas.latency.boosting import BoostedResidual, _features
from nas.latency.kernel_model import KernelModel
from nas.latency.kernels import Kernel
from nas.latency.mirror import KernelMirror
from nas.latency.roofline import Roofline, terms
from nas.latency.uncertainty import Novelty, Uncertainty
from nas.latency.validation import HeldOutErrors, cross_validate, folds
from nas.space import ArchManager, SearchSpace
from nas.timing.timing import Timing


def _networks(
    space: SearchSpace, tracer: Tracer, *, count: int, seed: int, noise: float = 0.0
) -> list[TimedKernels]:
    rng = np.random.default_rng(seed)
    networks = []
    for _ in range(count):
        graph = tracer(ArchManager(space).sample(rng))
        timing = Timing("key", "name", {}, (true_visit(graph, noise=noise, rng=rng),))
        networks.append(take_apart(timing, KernelMirror(BLOCK)(graph), macs=graph.macs))
    return networks


@pytest.fixture(scope="module")
def seen(space: SearchSpace, tracer: Tracer) -> list[TimedKernels]:
    return _networks(space, tracer, count=30, seed=0)


@pytest.fixture(scope="module")
def others(space: SearchSpace, tracer: Tracer) -> list[TimedKernels]:
    return _networks(space, tracer, count=30, seed=1)


def _labels(networks: list[TimedKernels]) -> np.ndarray:
    return np.array([network.label_ms for network in networks])


def test_a_profile_is_brought_to_its_kernels(seen: list[TimedKernels]) -> None:
    for network in seen:
        expected = [true_kernel_ms(kernel) for kernel in network.kernels]
        np.testing.assert_allclose(network.ms, expected, rtol=1e-9)
        assert network.matched == pytest.approx(1)


def test_what_the_profiler_adds_is_taken_off_every_operator(space: SearchSpace, tracer: Tracer) -> None:
    graph = tracer(ArchManager(space).largest())
    placed, visit = KernelMirror(BLOCK)(graph), true_visit(graph)
    slowed = tuple(replace(operator, ms=operator.ms + 0.0015) for operator in visit.operators)
    timing = Timing("key", "name", {}, (replace(visit, operators=slowed),))
    network = take_apart(timing, placed, macs=graph.macs)
    assert network.label_ms == pytest.approx(min(visit.wall_ms))
    np.testing.assert_allclose(network.ms, [true_kernel_ms(k.kernel) for k in placed], rtol=0.02)


def test_operators_without_a_kernel_are_missed(space: SearchSpace, tracer: Tracer) -> None:
    graph = tracer(ArchManager(space).smallest())
    timing = Timing("key", "name", {}, (visit_of((1.0, 3.0), wall=4.0),))
    assert take_apart(timing, KernelMirror(BLOCK)(graph), macs=graph.macs).matched == 0


def test_a_roofline_recovers_its_rates(seen: list[TimedKernels]) -> None:
    kernels = list({kernel for network in seen for kernel in network.kernels})
    ms = np.array([true_kernel_ms(kernel) for kernel in kernels])
    roofline = Roofline.of_kernels(kernels, ms, np.ones(len(kernels)))
    np.testing.assert_allclose(roofline.ms(kernels), ms, rtol=0.01)
    assert all(min(weights) >= 0 for weights in roofline.weights.values())


def test_a_kernel_of_one_size_costs_what_its_family_does_where_it_is_larger(seen: list[TimedKernels]) -> None:
    # The coordinates of a head are stacked in every network alike: nothing tells starting from moving.
    kernels = list({kernel for network in seen for kernel in network.kernels})
    moving = next(kernel for kernel in kernels if not kernel.macs)._replace(kind="stack")
    always = moving._replace(read=140, written=140, weights=0)
    ms = np.array([*(true_kernel_ms(kernel) for kernel in kernels), 0.007])
    for counts in (np.ones(len(ms)), np.full(len(ms), 80.0)):
        roofline = Roofline.of_kernels([*kernels, always], ms, counts)
        larger = always._replace(read=70_000, written=70_000)
        usual = true_kernel_ms(moving._replace(read=70_000, written=70_000))
        small, large = roofline.ms([always, larger])
        assert small == pytest.approx(0.007, rel=0.05)
        assert large < 0.007 + 10 * usual


def test_columns_of_a_transposed_convolution_are_what_it_scatters() -> None:
    # 4x4 filters from 8 to 6 channels on 5x5 cells: 6 * 16 numbers for each of 25 cells.
    kernel = Kernel("conv_transpose.dense4", macs=8 * 6 * 16 * 25, read=1, written=1, weights=1, inputs=8)
    assert terms(kernel)[3] == pytest.approx(4 * 6 * 16 * 25 * 1e-6)
    assert terms(kernel._replace(kind="conv.dense3"))[3] == 0


def test_whole_networks_can_be_fitted_to(seen: list[TimedKernels], others: list[TimedKernels]) -> None:
    unmatched = [replace(network, matched=0.1, ms=np.zeros(len(network.ms))) for network in seen]
    model = KernelModel.fit(unmatched)
    assert model.residual is None
    errors = HeldOutErrors.of(model.network_ms([network.kernels for network in others]), _labels(others))
    assert errors.mape < 0.05


def test_trees_are_evaluated_as_scikit_learn_does(seen: list[TimedKernels]) -> None:
    from sklearn.ensemble import GradientBoostingRegressor

    kernels = list({kernel for network in seen for kernel in network.kernels})
    rng = np.random.default_rng(0)
    ms = np.array([true_kernel_ms(kernel) for kernel in kernels]) * rng.uniform(0.5, 2, len(kernels))
    roofline = Roofline.of_kernels(kernels, ms, np.ones(len(kernels))).ms(kernels)
    boosted = BoostedResidual.fit(kernels, ms, roofline, counts=np.ones(len(kernels)), seed=3)
    twin = GradientBoostingRegressor(
        n_estimators=150, max_depth=4, learning_rate=0.08, subsample=0.7, init="zero", random_state=3
    )
    numbers = _features(kernels, boosted.kinds, roofline)
    twin.fit(numbers, np.log(ms / roofline), sample_weight=ms)
    np.testing.assert_allclose(np.log(boosted.factors(kernels, roofline)), twin.predict(numbers), atol=1e-3)
    restored = BoostedResidual.from_json(boosted.to_json())
    np.testing.assert_array_equal(restored.factors(kernels, roofline), boosted.factors(kernels, roofline))


def test_boosting_learns_what_the_roofline_cannot(space: SearchSpace, tracer: Tracer) -> None:
    def bent(network: TimedKernels) -> TimedKernels:
        factors = np.array(
            [1.6 if kernel.size == 5 or kernel.stride == 2 else 1.0 for kernel in network.kernels]
        )
        ms = network.ms * factors
        return replace(network, ms=ms, label_ms=float(ms.sum()))

    seen = [bent(network) for network in _networks(space, tracer, count=40, seed=0)]
    others = [bent(network) for network in _networks(space, tracer, count=20, seed=1)]
    errors = [
        HeldOutErrors.of(
            KernelModel.fit(seen, boosted=boosted).network_ms([network.kernels for network in others]),
            _labels(others),
        ).mape
        for boosted in (True, False)
    ]
    assert errors[0] < 0.6 * errors[1]


def test_larger_networks_may_slow_their_kernels_down(
    seen: list[TimedKernels], others: list[TimedKernels]
) -> None:
    def slowed(networks: list[TimedKernels]) -> list[TimedKernels]:
        labels = 1.2 * _labels(networks) ** 1.05
        return [
            replace(network, label_ms=label, ms=network.ms * label / network.label_ms)
            for network, label in zip(networks, labels.tolist(), strict=True)
        ]

    model = KernelModel.fit(slowed(seen))
    predicted = model.network_ms([network.kernels for network in others])
    assert HeldOutErrors.of(predicted, _labels(slowed(others))).mape < 0.02


@pytest.mark.parametrize("fit", BASELINES.values(), ids=list(BASELINES))
def test_baselines_do_not_look_at_the_times_that_they_predict(
    fit: Callable[..., Baseline], seen: list[TimedKernels], others: list[TimedKernels]
) -> None:
    predict = fit(seen, seed=0)
    blind = [replace(network, ms=np.full(len(network.ms), np.nan), label_ms=np.nan) for network in others]
    np.testing.assert_array_equal(predict(others), predict(blind))
    errors = HeldOutErrors.of(predict(others), _labels(others))
    assert errors.mape < 0.5
    assert errors.spearman > 0.7


def test_a_block_that_is_in_the_table_is_looked_up(seen: list[TimedKernels]) -> None:
    predicted = BASELINES["block table, added up"](seen, seed=0)(seen)
    np.testing.assert_allclose(predicted, _labels(seen), rtol=1e-3)


def test_novelty_is_nought_for_what_was_measured() -> None:
    kernel = Kernel("conv.pointwise", 1000, 100, 100, 10, 16, 16, 8, 8, 1, 1)
    novelty = Novelty.of([kernel])
    near, far = kernel._replace(height=16), kernel._replace(height=512, width=512)
    known, close, distant, strange = novelty([kernel, near, far, kernel._replace(kind="conv.new")])
    assert known == 0 < close < distant < strange
    again = Novelty.from_json(novelty.to_json())
    np.testing.assert_array_equal(again([near, far]), novelty([near, far]))


def test_bounds_hold_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        novelty = rng.uniform(0, 1, 41)
        errors = rng.standard_normal(41) * (0.02 + 0.1 * novelty)
        found = Uncertainty.of(errors[:40], novelty[:40])
        covered.append(abs(errors[40]) <= found.relative(novelty[40:], coverage=0.9)[0])
    assert 0.85 < np.mean(covered) < 0.97


def test_strangers_are_not_trusted_even_where_all_acquaintances_were_predicted_well() -> None:
    found = Uncertainty.of(np.full(30, 0.01), np.full(30, 0.05))
    known, strange = found.relative(np.array([0.05, 4.0]), coverage=0.9)
    assert known == pytest.approx(0.01, rel=0.01)
    assert strange > 0.2


def test_folds_hold_every_network_out_once() -> None:
    parts = folds(17, seed=0)
    assert sorted(index for _, held_out in parts for index in held_out) == list(range(17))
    assert all(set(seen).isdisjoint(held_out) and len(seen) + len(held_out) == 17 for seen, held_out in parts)


def test_cross_validation_predicts_what_it_did_not_see(space: SearchSpace, tracer: Tracer) -> None:
    networks = _networks(space, tracer, count=20, seed=5)
    found = cross_validate(networks, boosted=False, seed=0)
    labels = _labels(networks)
    assert HeldOutErrors.of(found.predicted, labels).mape < 0.02
    # One network whose label is a lie: its own prediction does not follow the lie.
    liar = replace(networks[0], label_ms=3 * networks[0].label_ms, ms=3 * networks[0].ms)
    lied = cross_validate([liar, *networks[1:]], boosted=False, seed=0)
    assert lied.predicted[0] == pytest.approx(found.predicted[0])
