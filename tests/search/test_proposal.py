import numpy as np
import pytest
from search_fakes import fake_accuracy, fake_cost

from nas.search.proposal import BAND, NothingLeftError, Proposer
from nas.search.values import Evaluation
from nas.space import ArchManager, SearchSpace


def scored(space: SearchSpace, count: int, seed: int = 0) -> list[Evaluation]:
    rng = np.random.default_rng(seed)
    archs = {ArchManager(space).sample(rng): None for _ in range(count)}
    return [Evaluation(arch, fake_cost(arch), fake_accuracy(arch)) for arch in archs]


@pytest.fixture(scope="module")
def budgets(space: SearchSpace) -> tuple[float, float]:
    costs = [item.predicted_ms for item in scored(space, 300)]
    return float(np.quantile(costs, 0.1)), float(np.quantile(costs, 0.6))


def test_proposals_are_new_and_lie_in_the_band_of_their_budget(
    space: SearchSpace, budgets: tuple[float, float]
) -> None:
    proposer = Proposer(space, fake_cost, budgets_ms=budgets, seed=1)
    history = scored(space, 30)
    origins = set()
    for number in range(24):
        proposal = proposer(number, history)
        assert proposal.arch.id not in {item.arch.id for item in history}
        assert proposal.budget_ms == budgets[number % 2]
        assert BAND * proposal.budget_ms <= fake_cost(proposal.arch) <= proposal.budget_ms
        history.append(Evaluation(proposal.arch, proposal.predicted_ms, fake_accuracy(proposal.arch)))
        origins.add(proposal.origin)
    assert origins == {"random", "surrogate", "evolution", "tpe"}


def test_a_proposal_depends_on_seed_number_and_history_alone(
    space: SearchSpace, budgets: tuple[float, float]
) -> None:
    history = scored(space, 20)
    one, two = (Proposer(space, fake_cost, budgets_ms=budgets, seed=3) for _ in range(2))
    for number in (12, 14, 16):
        one(number - 1, history)
        assert one(number, history) == two(number, history)
    other = Proposer(space, fake_cost, budgets_ms=budgets, seed=4)
    assert any(other(n, history).arch != two(n, history).arch for n in (12, 14, 16))


def test_a_budget_above_the_largest_network_aims_at_the_largest(space: SearchSpace) -> None:
    most_expensive = max(fake_cost(ArchManager(space).largest(head=head)) for head in space.heads)
    proposal = Proposer(space, fake_cost, budgets_ms=[10 * most_expensive], seed=0)(0, [])
    assert fake_cost(proposal.arch) >= BAND * most_expensive


def test_anchors_are_what_a_budget_allows(space: SearchSpace, budgets: tuple[float, float]) -> None:
    manager = ArchManager(space)
    anchors = Proposer(space, fake_cost, budgets_ms=budgets, seed=0).anchors()
    assert {manager.smallest(head=head) for head in space.heads} <= {anchor.arch for anchor in anchors}
    assert all(anchor.predicted_ms <= anchor.budget_ms for anchor in anchors)
    assert not {manager.largest(head=head) for head in space.heads} & {anchor.arch for anchor in anchors}
    roomy = Proposer(space, fake_cost, budgets_ms=[1e9], seed=0).anchors()
    assert {manager.largest(head=head) for head in space.heads} <= {anchor.arch for anchor in roomy}


def test_published_networks_are_anchors() -> None:
    space = SearchSpace.load("litepose-published")
    names = {anchor.origin for anchor in Proposer(space, fake_cost, budgets_ms=[1e9], seed=0).anchors()}
    assert names >= set(space.published())


def test_an_exhausted_space_says_so(space: SearchSpace) -> None:
    only = SearchSpace.of(ArchManager(space).smallest())
    arch = ArchManager(only).smallest()
    proposer = Proposer(only, fake_cost, budgets_ms=[1e9], seed=0)
    assert proposer(0, []).arch == arch
    with pytest.raises(NothingLeftError):
        proposer(1, [Evaluation(arch, fake_cost(arch), 0.5)])


def test_search_beats_random_draws(space: SearchSpace, budgets: tuple[float, float]) -> None:
    def best(origin: str | None, seed: int) -> float:
        class Fixed(Proposer):
            def _origin(self, turn: int, fitting: object) -> str:
                return origin or super()._origin(turn, fitting)  # type: ignore[arg-type]

        proposer = Fixed(space, fake_cost, budgets_ms=budgets[:1], seed=seed)
        history: list[Evaluation] = []
        for number in range(40):
            proposal = proposer(number, history)
            history.append(Evaluation(proposal.arch, proposal.predicted_ms, fake_accuracy(proposal.arch)))
        return max(item.accuracy for item in history)

    seeds = range(4)
    assert sum(best(None, seed) for seed in seeds) > sum(best("random", seed) for seed in seeds)
