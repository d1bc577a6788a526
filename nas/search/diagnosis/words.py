"""What a diagnosis says, in plain words and as tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.search.diagnosis.statistics import ENOUGH

_SCOPES = {
    "overall": "Over all networks",
    "within_heads": "Among networks of one head",
    "within_bins": "Within bins of milliseconds",
}

Figures = Mapping[str, Any]
Table = tuple[tuple[str, ...], list[Sequence[object]]]
"""Columns and rows."""

_NAMES = {
    "inherited": "inherited accuracy",
    "macs": "MACs",
    "predicted_ms": "predicted milliseconds",
    "random": "drawing lots",
    "another_seed": "another seed (the ceiling)",
}


def scopes(figures: Figures) -> Iterator[tuple[str, Figures]]:
    """What was compared, each with its title; figures of earlier versions lack what came later."""
    for name, title in _SCOPES.items():
        if (scope := figures.get(name)) is not None:
            yield title, scope


def explain(figures: Figures) -> list[str]:
    """Paragraphs: how far inherited accuracy tells what networks score alone, beside what else would."""
    overall, within, metric = figures["overall"], figures["within_bins"], figures["metric"]
    alike = figures.get("within_heads")
    told = [
        _what_was_done(figures),
        f"Of two of them, the one that inherits the better {metric} is the better one alone in "
        f"{_right(overall, 'inherited')} of the pairs ({_ranks(overall)}). {_baselines(overall)} "
        f"{_against_size(overall)}",
    ]
    if alike is not None:
        told.append(
            f"Of two with the same head, it is so in {_right(alike, 'inherited')} of {alike['pairs']} pairs "
            f"({_ranks(alike)}). {_baselines(alike)}"
        )
    if within is not None:
        told.append(
            f"Of two that take the same time to within {figures['bin_width']:.0%}, it is so in "
            f"{_right(within, 'inherited')} of {within['pairs']} pairs ({_ranks(within)}). "
            f"{_baselines(within)}"
        )
    if overall["rankings"]["another_seed"]["one_seed"] is not None:
        told.append(_ceiling(overall, figures["seed_difference"]))
    told.append(_worth(metric, overall, "all of them"))
    if within is not None:
        told.append(_worth(metric, within, "those of one bin"))
    return told


def rankings_table(scope: Figures) -> Table:
    """What networks may be ranked by, and how well that tells what they score alone."""
    columns = (
        "ranked by", "pairs right", "tau", "90 % interval", "Spearman", "90 % interval",
        "tau against one seed",
    )  # fmt: skip
    rows: list[Sequence[object]] = []
    for name, title in _NAMES.items():
        mean, one = scope["rankings"][name]["mean"], scope["rankings"][name]["one_seed"]
        of_mean: tuple[object, ...] = (None,) * 5
        if mean is not None:
            right, tau, rho = (mean[figure] for figure in ("pairs_right", "kendall", "spearman"))
            of_mean = (_percent(right["value"]), tau["value"], _ends(tau), rho["value"], _ends(rho))
        rows.append((title, *of_mean, None if one is None else one["kendall"]["value"]))
    return columns, rows


def networks_table(figures: Figures) -> Table:
    """The networks, by rising milliseconds."""
    metric = figures["metric"]
    columns = (
        "network", "head", "predicted ms", "MMAC", "bin", f"{metric} inherited", f"{metric} alone",
        *(f"seed {seed}" for seed in range(figures["seeds"])),
    )  # fmt: skip
    return columns, [
        (
            row["arch"],
            row.get("head"),
            row["predicted_ms"],
            f"{row['macs'] / 1e6:.1f}",
            None if row["bin"] is None else row["bin"] + 1,
            row["inherited"],
            row["alone_mean"],
            *row["alone"],
        )
        for row in figures["networks"]
    ]


def _what_was_done(figures: Figures) -> str:
    networks, seeds, planned = figures["networks"], figures["seeds"], figures["planned"]
    low, high = networks[0]["predicted_ms"], networks[-1]["predicted_ms"]
    text = (
        f"{len(networks)} networks of {low:.3g} to {high:.3g} ms were trained alone, from scratch, on "
        f"{figures['images']:,} images, {'once' if seeds == 1 else f'with {seeds} seeds'} each."
    )
    if (len(networks), seeds) == (planned["networks"], planned["seeds"]):
        return text
    return f"{text} Planned are {planned['networks']} networks, {planned['seeds']} seeds."


def _ranks(scope: Figures) -> str:
    tau, rho = (scope["rankings"]["inherited"]["mean"][name] for name in ("kendall", "spearman"))
    if tau["value"] is None:
        return "too many scores are the same to tell a rank correlation"
    return (
        f"Kendall's tau {_number(tau['value'])}, 90 % interval {_ends(tau)}; Spearman {_number(rho['value'])}"
    )


def _baselines(scope: Figures) -> str:
    lots = scope["rankings"]["random"]["mean"]["pairs_right"]
    return (
        f"MACs are right in {_right(scope, 'macs')}, predicted milliseconds in "
        f"{_right(scope, 'predicted_ms')}; drawing lots, nine times of ten, in {_percent(lots['low'])} to "
        f"{_percent(lots['high'])}."
    )


def _against_size(overall: Figures) -> str:
    """Whether inherited accuracy tells more than how large a network is."""
    lead = min(
        (found for found in overall["lead_in_tau"].values() if found["value"] is not None),
        key=lambda found: found["value"],
        default=None,
    )
    if lead is None:
        return "Nothing tells whether that is more than the size of a network does."
    much = "no more" if lead["value"] <= 0 else "more" if lead["low"] > 0 else "more, but not surely so,"
    return (
        f"So inherited accuracy tells {much} than the size of a network does (tau larger by "
        f"{_number(lead['value'])}, 90 % interval {_ends(lead)})."
    )


def _ceiling(overall: Figures, difference: float) -> str:
    ceiling = overall["rankings"]["another_seed"]["one_seed"]
    one = _right(overall, "inherited", against="one_seed")
    return (
        f"Trained again with another seed, a network scores {difference:.3f} more or less on average. Two "
        f"seeds agree in {_percent(ceiling['pairs_right']['value'])} of the pairs (tau "
        f"{_number(ceiling['kendall']['value'])}): the ceiling, what training all of them once more would "
        f"tell. Inherited accuracy agrees with one seed in {one}."
    )


def _worth(metric: str, scope: Figures, among: str) -> str:
    (item,) = (item for item in scope["worth"] if item["share"] == ENOUGH)
    difference = item["difference"]
    if difference["value"] is None:
        return (
            f"Among {among}, no inherited {metric} differed by so much that the better one is better alone "
            f"in {ENOUGH:.0%} of the pairs."
        )
    low, high = _number(difference["low"]), difference["high"]
    return (
        f"Among {among}, where inherited {metric} differs by {_number(difference['value'])} or more, the "
        f"better one is better alone in {ENOUGH:.0%} of the pairs or more: {item['pairs']} of "
        f"{scope['pairs']} differ by so much (90 % interval of that difference: {low} to "
        f"{'more than was seen' if high is None else _number(high)})."
    )


def _right(scope: Figures, ranking: str, *, against: str = "mean") -> str:
    return _percent(scope["rankings"][ranking][against]["pairs_right"]["value"])


def _ends(bounded: Figures) -> str | None:
    """Of an interval."""
    if bounded["low"] is None:
        return None
    return f"{_number(bounded['low'])} to {_number(bounded['high'])}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
