from nas.search.pareto import best_accuracies, pareto_front, within
from nas.search.values import Evaluation
from nas.space import ArchManager, SearchSpace


def items(space: SearchSpace, *points: tuple[float, float]) -> list[Evaluation]:
    return [Evaluation(ArchManager(space).smallest(), ms, accuracy) for ms, accuracy in points]


def test_front_keeps_what_nothing_beats(space: SearchSpace) -> None:
    scored = items(space, (3, 0.5), (1, 0.2), (2, 0.1), (4, 0.5), (2, 0.4), (5, 0.9))
    assert [(e.predicted_ms, e.accuracy) for e in pareto_front(scored)] == [
        (1, 0.2),
        (2, 0.4),
        (3, 0.5),
        (5, 0.9),
    ]


def test_within_prefers_accurate_then_fast_and_includes_the_budget(space: SearchSpace) -> None:
    scored = items(space, (3, 0.5), (1, 0.5), (2, 0.7), (2.01, 0.9))
    assert [e.predicted_ms for e in within(scored, 2)] == [2, 1]


def test_best_accuracy_of_an_empty_budget_is_none(space: SearchSpace) -> None:
    assert best_accuracies(items(space, (3, 0.5)), [2, 3]) == {2: None, 3: 0.5}
