"""What a diagnosis comes to, and how it is told."""

import json

import numpy as np
import pytest
from diagnosis_samples import made_up_figures
from scipy.stats import kendalltau, spearmanr

from nas.search.diagnosis.picking import PickedNetwork
from nas.search.diagnosis.results import diagnosis_figures
from nas.search.diagnosis.words import explain, networks_table, rankings_table, scopes
from nas.space import ArchManager, SearchSpace


def columns(figures: dict, *names: str) -> list[np.ndarray]:
    return [np.array([row[name] for row in figures["networks"]]) for name in names]


def test_rankings_are_compared_with_the_mean_and_with_single_seeds() -> None:
    figures = made_up_figures(seeds=3)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    inherited, macs, mean, alone = columns(figures, "inherited", "macs", "alone_mean", "alone")
    assert mean == pytest.approx(alone.mean(1))
    rankings = figures["overall"]["rankings"]
    for name, x in (("inherited", inherited), ("macs", macs)):
        found = rankings[name]
        assert found["mean"]["kendall"]["value"] == pytest.approx(kendalltau(x, mean).statistic)
        assert found["mean"]["spearman"]["value"] == pytest.approx(spearmanr(x, mean).statistic)
        each = [kendalltau(x, one).statistic for one in alone.T]
        assert found["one_seed"]["kendall"]["value"] == pytest.approx(np.mean(each))
    pairs = [kendalltau(alone[:, a], alone[:, b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
    assert rankings["another_seed"]["one_seed"]["kendall"]["value"] == pytest.approx(np.mean(pairs))
    assert rankings["another_seed"]["mean"] is None
    differences = [np.abs(alone[:, a] - alone[:, b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert figures["seed_difference"] == pytest.approx(np.mean(differences))


def test_within_bins_networks_of_no_bin_are_left_out() -> None:
    figures = made_up_figures()
    within = figures["within_bins"]
    bins = [row["bin"] for row in figures["networks"]]
    sizes = [bins.count(number) for number in (0, 1)]
    assert within["networks"] == sum(sizes) < figures["overall"]["networks"] == 12
    assert within["pairs"] == sum(size * (size - 1) // 2 for size in sizes)
    assert made_up_figures(binned=False)["within_bins"] is None


def test_among_networks_of_one_head_pairs_of_two_heads_are_left_out() -> None:
    figures = made_up_figures()
    heads = [row["head"] for row in figures["networks"]]
    sizes = [heads.count(head) for head in set(heads)]
    assert len(sizes) > 1
    alike = figures["within_heads"]
    assert alike["networks"] == 12
    assert alike["pairs"] == sum(size * (size - 1) // 2 for size in sizes) < figures["overall"]["pairs"]
    one = made_up_figures(heads=[heads[0]])
    assert one["within_heads"] is None
    assert len(explain(one)) == len(explain(figures)) - 1


def test_figures_of_an_earlier_version_are_told() -> None:
    figures = made_up_figures()
    del figures["within_heads"]
    for row in figures["networks"]:
        del row["head"]
    assert [title for title, _ in scopes(figures)] == ["Over all networks", "Within bins of milliseconds"]
    assert not any(text.startswith("Of two with the same head") for text in explain(figures))
    assert [row[1] for row in networks_table(figures)[1]] == [None] * 12


def test_as_many_seeds_count_as_every_network_has() -> None:
    archs = list(
        dict.fromkeys(
            ArchManager(SearchSpace.load("demo")).sample(np.random.default_rng(s)) for s in range(6)
        )
    )
    picked = [PickedNetwork(arch, 6.0 - place, 1, None) for place, arch in enumerate(archs)]
    inherited = {arch.id: place / 10 for place, arch in enumerate(archs)}
    alone = {arch.id: [0.1, 0.2][: 1 + place % 2] for place, arch in enumerate(archs[:5])}
    figures = diagnosis_figures(picked, inherited, alone)
    assert figures["seeds"] == 1
    assert figures["seed_difference"] is None
    assert [row["arch"] for row in figures["networks"]] == [arch.id for arch in reversed(archs[:5])]
    # All score the same alone: nothing can be told, and JSON can say so.
    rankings = figures["overall"]["rankings"]
    assert rankings["inherited"]["mean"]["kendall"] == {"value": None, "low": None, "high": None}
    assert rankings["another_seed"]["one_seed"] is None
    json.dumps(figures, allow_nan=False)
    told = explain(
        {**figures, "metric": "AP", "images": 8, "bin_width": 0.04, "planned": {"networks": 6, "seeds": 2}}
    )
    assert "Planned are 6 networks, 2 seeds." in told[0]
    assert "too many scores are the same" in told[1]


def test_it_is_told_in_plain_words() -> None:
    figures = made_up_figures()
    told = explain(figures)
    assert told[0] == (
        "12 networks of 1 to 12 ms were trained alone, from scratch, on 64,000 images, with 2 seeds each."
    )
    right = figures["overall"]["rankings"]["inherited"]["mean"]["pairs_right"]["value"]
    assert f"better one alone in {right:.0%} of the pairs" in told[1]
    assert "So inherited accuracy tells more than the size of a network does (tau larger by " in told[1]
    assert told[2].startswith("Of two with the same head, it is so in ")
    assert "take the same time to within 4%" in told[3]
    assert "the ceiling, what training all of them once more would tell" in told[4]
    (worth,) = (item for item in figures["overall"]["worth"] if item["share"] == 0.9)
    assert f"differs by {worth['difference']['value']:.3f} or more" in told[5]
    assert "those of one bin" in told[6]
    leads = figures["overall"]["lead_in_tau"]
    assert leads["macs"]["low"] > 0
    for lead, said in ((-0.1, "tells no more than"), (0.1, "tells more, but not surely so, than")):
        least = {**leads, "predicted_ms": {"value": lead, "low": lead - 0.3, "high": lead + 0.3}}
        blind = {**figures, "overall": {**figures["overall"], "lead_in_tau": least}}
        assert f"{said} the size of a network does (tau larger by {lead:.3f}" in explain(blind)[1]
    assert len(explain(made_up_figures(seeds=1, binned=False))) == 4


def test_tables_have_a_row_for_each_ranking_and_network() -> None:
    figures = made_up_figures()
    titles, rows = rankings_table(figures["overall"])
    assert all(len(row) == len(titles) for row in rows)
    assert [row[0] for row in rows][0::4] == ["inherited accuracy", "another seed (the ceiling)"]
    assert rows[4][1:6] == (None,) * 5
    titles, rows = networks_table(figures)
    assert all(len(row) == len(titles) == 9 for row in rows)
    assert len(rows) == 12
