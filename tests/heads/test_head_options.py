"""What heads' options may be, as their descriptions have it: named, refused early, known by the code."""

from collections.abc import Collection
from typing import Any

import pytest

from nas.codecs.center import MAX_PEOPLE
from nas.codecs.dense import BRANCHES, CANDIDATES
from nas.codecs.heatmap import REFINEMENTS
from nas.codecs.kernels import KERNELS, RADII
from nas.codecs.limb_sets import LIMB_SETS
from nas.codecs.regression import FOCUS
from nas.codecs.rle import RLECodec
from nas.errors import UserError
from nas.heads.center import ACTIVATIONS
from nas.space import Arch, ArchManager, HeadSpec, SearchSpace, part
from nas.space.catalogue import HEADS
from nas.space.specs import Range

OUT_OF_RANGE: list[tuple[str, dict[str, Any], str]] = [
    (
        "part_affinity",
        {"width": 20},
        "'width' of head 'part_affinity': expected a multiple of 8 of at least 8, got 20",
    ),
    ("part_affinity", {"width": -8}, "expected a multiple of 8 of at least 8, got -8"),
    ("part_affinity", {"refinement": 3}, "expected a number of at least 0 and at most 2, got 3"),
    ("part_affinity", {"limbs": "dense"}, "'dense' is unknown; choose one of skeleton, mirrored, bridged"),
    ("part_affinity", {"fewest": 0}, "'fewest'.* at least 1, got 0"),
    ("center", {"people": 31}, "'people'.* at most 30, got 31"),
    ("center", {"activation": "relu"}, "'relu' is unknown; choose one of sigmoid, softsign"),
    ("rtmcc", {"hidden": 0}, "'hidden'.* at least 1, got 0"),
    ("simcc", {"split": 0}, "'split'.* at least 1, got 0"),
    ("integral", {"beta": 0.0}, "'beta'.* above 0, got 0"),
    ("dsnt", {"deconvolutions": 3}, "'deconvolutions'.* at most 2, got 3"),
    ("rle", {"gamma": float("nan")}, "'gamma'.* at least 0, got nan"),
    ("regression", {"dropout": 1.0}, "'dropout'.* at least 0 and below 1, got 1"),
]


@pytest.mark.parametrize(("head", "options", "message"), OUT_OF_RANGE)
def test_options_out_of_range_are_named(head: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        part(HeadSpec, head).complete(options)


def test_files_are_read_by_the_same_ranges() -> None:
    space = SearchSpace.load("person-crop").narrow(heads=["simcc"])
    arch = ArchManager(space).smallest().to_json()
    arch["head"]["options"]["split"] = 0
    with pytest.raises(
        UserError, match=r"a.json: head.*'split' of head 'simcc': expected .* at least 1, got 0"
    ):
        Arch.from_json(arch, source="a.json")
    described = space.to_json()
    described["heads"]["simcc"]["options"] = {"split": [0, 2]}
    with pytest.raises(
        UserError, match=r"s.yaml: heads.simcc: .*'split' of head 'simcc': .* at least 1, got 0"
    ):
        SearchSpace.from_json(described, source="s.yaml")


@pytest.mark.parametrize(
    ("head", "option", "known"),
    [
        ("associative_embedding", "kernel", KERNELS),
        ("associative_embedding", "radius", RADII),
        ("heatmap", "kernel", KERNELS),
        ("heatmap", "radius", RADII),
        ("heatmap", "refine", REFINEMENTS),
        ("center", "activation", ACTIVATIONS),
        ("dense", "decode", BRANCHES),
        ("part_affinity", "limbs", LIMB_SETS),
        ("regression", "score", {"none", *FOCUS}),
        ("rle", "score", {RLECodec.unscored, *FOCUS}),
    ],
)
def test_names_are_those_that_the_code_knows(head: str, option: str, known: Collection[str]) -> None:
    assert set(part(HeadSpec, head).ranges[option]) == set(known)


def test_no_head_gives_more_people_than_it_has_candidates() -> None:
    assert part(HeadSpec, "center").ranges["people"] == Range(least=1, most=MAX_PEOPLE)
    assert part(HeadSpec, "dense").ranges["people"] == Range(least=1, most=CANDIDATES)


def test_every_option_of_a_shipped_head_has_a_range() -> None:
    """But those that are true or false."""
    for head in HEADS:
        assert set(head.ranges) == {name for name, value in head.options.items() if type(value) is not bool}


def test_a_default_out_of_range_is_no_description() -> None:
    with pytest.raises(
        ValueError, match="default of option 'a' of head 'x': expected a number above 0, got 0"
    ):
        HeadSpec(
            name="x",
            module="x:X",
            task="crop",
            codec="x:Y",
            necks=("none",),
            options={"a": 0.0},
            ranges={"a": Range(above=0)},
        )
