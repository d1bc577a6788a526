import numpy as np
from search_fakes import fake_accuracy, fake_cost

from nas.search.surrogate import Surrogate
from nas.search.values import Evaluation
from nas.space import ArchManager, SearchSpace


def test_it_ranks_networks_that_it_has_not_seen(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    archs = list({ArchManager(space).sample(rng): None for _ in range(160)})
    history = [Evaluation(arch, fake_cost(arch), fake_accuracy(arch)) for arch in archs[:100]]
    held_out = archs[100:]
    draws = [Surrogate(space, history, np.random.default_rng(seed)) for seed in range(20)]
    predicted = np.mean([[draw(arch) for arch in held_out] for draw in draws], axis=0)
    true = [fake_accuracy(arch) for arch in held_out]
    assert np.corrcoef(predicted, true)[0, 1] > 0.9


def test_what_was_never_seen_stays_uncertain(space: SearchSpace) -> None:
    manager = ArchManager(space)
    arch = manager.smallest()
    history = [Evaluation(arch, 1.0, 0.1), Evaluation(manager.largest(), 2.0, 0.2)]
    draws = [Surrogate(space, history, np.random.default_rng(seed)) for seed in range(200)]
    rng = np.random.default_rng(0)
    unseen = np.std([draw(manager.sample(rng)) for draw in draws])
    assert unseen > 2 * np.std([draw(arch) for draw in draws])
