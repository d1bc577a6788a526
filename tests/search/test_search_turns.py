"""Which of several runs scores the next network."""

import pytest

from nas.search.turns import Standing, best_of_all, next_turn

Best = dict[float, float | None]


def dealt(
    bests: list[Best], trials: int, *, before: tuple[int, ...] = (), left: tuple[int, ...] = ()
) -> list[int]:
    """Whose turns there are, where accuracies stay as they are.

    Args:
        bests: of the runs.
        trials: of all together.
        before: what each has scored by now.
        left: how many networks each has at all.
    """
    scored = list(before or [0] * len(bests))
    turns: list[int] = []

    def standings() -> list[Standing]:
        return [
            Standing(count, best, exhausted=bool(left) and count >= left[place])
            for place, (count, best) in enumerate(zip(scored, bests, strict=True))
        ]

    while (turn := next_turn(standings(), trials)) is not None:
        turns.append(turn)
        scored[turn] += 1
    return turns


def test_half_of_all_is_dealt_out_in_equal_shares_whoever_leads() -> None:
    turns = dealt([{5.0: 0.9}, {5.0: 0.1}], 24)
    assert turns[:12] == [0, 1] * 6
    assert len(turns) == 24


@pytest.mark.parametrize(
    ("bests", "counts"),
    [
        # Votes 3 : 1 and 2 : 1.
        ([{5.0: 0.4, 10.0: 0.6}, {5.0: 0.3, 10.0: 0.5}], [30, 10]),
        ([{5.0: 0.3}, {5.0: 0.4}], [14, 26]),
        # Each leads within one budget; both are as good.
        ([{5.0: 0.4, 10.0: 0.5}, {5.0: 0.3, 10.0: 0.6}], [20, 20]),
        ([{5.0: 0.4}, {5.0: 0.4}], [20, 20]),
        # Nobody has a network within it, or only one can have.
        ([{5.0: None}, {5.0: None}], [20, 20]),
        ([{5.0: 0.1, 10.0: 0.3}, {10.0: 0.6}], [20, 20]),
        ([{5.0: 0.1, 10.0: 0.7}, {10.0: 0.6}], [30, 10]),
    ],
)
def test_whoever_leads_gets_more_and_nobody_is_left_behind(bests: list[Best], counts: list[int]) -> None:
    turns = dealt(bests, 40)
    assert [turns.count(place) for place in range(2)] == counts


def test_a_search_that_was_stopped_anywhere_goes_on_alike() -> None:
    bests: list[Best] = [{5.0: 0.3}, {5.0: 0.4}, {5.0: 0.2}]
    whole = dealt(bests, 30)
    for stop in range(30):
        before = tuple(whole[:stop].count(place) for place in range(3))
        assert dealt(bests, 30, before=before) == whole[stop:]


def test_what_a_run_has_scored_before_counts_but_takes_no_share_of_the_others() -> None:
    assert dealt([{5.0: 0.4}, {5.0: 0.3}], 20, before=(30, 0)) == [1] * 5
    assert dealt([{5.0: 0.4}, {5.0: 0.3}], 20, before=(20, 5)) == []


def test_each_has_a_turn_however_few_there_are() -> None:
    assert dealt([{5.0: 0.4}, {5.0: 0.3}, {5.0: 0.2}], 3) == [0, 1, 2]


def test_who_has_no_network_left_leaves_its_turns_to_the_others() -> None:
    assert dealt([{5.0: 0.9}, {5.0: 0.1}], 12, left=(2, 99)).count(1) == 10
    assert dealt([{5.0: 0.9}, {5.0: 0.1}], 12, left=(2, 3)) == [0, 1, 0, 1, 1]


def test_the_best_of_all_is_told_by_budget() -> None:
    standings = [Standing(1, {10.0: 0.5, 5.0: None}), Standing(1, {10.0: 0.6})]
    assert list(best_of_all(standings).items()) == [(5.0, None), (10.0, 0.6)]
