"""Segmentations are read whole, or not at all."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.coco.segmentation import Polygons, RunLengths, decompress, read_segmentation
from nas.coco.values import EntryError

SIZE = (128, 160)
TOTAL = 128 * 160

UNREADABLE: dict[str, tuple[Any, str]] = {
    "an empty polygon": ([[]], "a polygon of 0 numbers"),
    "odd": ([[1, 2, 3, 4, 5, 6, 7]], "a polygon of 7 numbers"),
    "two points": ([[1, 2, 3, 4]], "a polygon of 4 numbers"),
    "flat": ([1, 2, 30, 2, 30, 40], "one flat list"),
    "words": ([["1", "2", "30", "2", "30", "40"]], "no list of numbers"),
    "points as fields": ([[{"x": 1, "y": 2}] * 3], "no list of numbers"),
    "points as lists": ([[[1, 2], [3, 4], [5, 6]]], "no list of numbers"),
    "a word": ("none", "neither polygons nor"),
    "a number": (7, "neither polygons nor"),
    "not a number": ([[1, 2, float("nan"), 4, 5, 6]], "impossible places"),
    "null": ([[1, 2, None, 4, 5, 6]], "impossible places"),
    "far": ([[1, 2, 1e9, 4, 5, 6]], "impossible places"),
    "one of two": ([[1, 1, 9, 1, 9, 9], [1]], "a polygon of 1 numbers"),
    "no size": ({"counts": [10, TOTAL - 10]}, "of size None"),
    "another size": ({"size": [64, 64], "counts": [10, 20, 4066]}, "of size [64, 64]"),
    "turned": ({"size": [160, 128], "counts": [0, TOTAL]}, "of size [160, 128]"),
    "no counts": ({"size": [128, 160]}, "without counts"),
    "too few": ({"size": [128, 160], "counts": [10, 20]}, "do not add up"),
    "too many": ({"size": [128, 160], "counts": [10, TOTAL]}, "do not add up"),
    "negative": ({"size": [128, 160], "counts": [-10, TOTAL + 10]}, "do not add up"),
    "parts": ({"size": [128, 160], "counts": [0.5, TOTAL - 0.5]}, "no whole numbers"),
    "huge": ({"size": [128, 160], "counts": [2**62, 2**62]}, "no whole numbers"),
    "counts of words": ({"size": [128, 160], "counts": ["10", "20"]}, "no whole numbers"),
    "garbage": ({"size": [128, 160], "counts": "garbage"}, "compressed"),
    "accents": ({"size": [128, 160], "counts": "é"}, "compressed"),
    "nothing": ({"size": [128, 160], "counts": ""}, "compressed"),
    "unended": ({"size": [128, 160], "counts": "PPPPo"}, "compressed"),
    "without measure": ({"size": [128, 160], "counts": "o" * 20 + "0"}, "without measure"),
    "compressed, too few": ({"size": [128, 160], "counts": "0d0"}, "do not add up"),
    "fields": ({}, "of size None"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_said(case: str) -> None:
    value, said = UNREADABLE[case]
    with pytest.raises(EntryError) as caught:
        read_segmentation(value, SIZE)
    assert said in str(caught.value)


def test_nothing_is_nothing() -> None:
    assert read_segmentation(None, SIZE) is None
    assert read_segmentation([], SIZE) is None


def test_polygons() -> None:
    shape = read_segmentation([[10, 20, 30, 20, 30, 40.5, 10, 40.5], [0, 0, 4, 0, 0, 4]], SIZE)
    assert isinstance(shape, Polygons)
    assert shape.outlines[0].tolist() == [[10, 20], [30, 20], [30, 40.5], [10, 40.5]]
    assert shape.area == 20 * 20.5 + 8


def test_runs_go_down_the_columns() -> None:
    shape = read_segmentation({"size": [128.0, 160], "counts": [130, 3, TOTAL - 133]}, SIZE)
    assert isinstance(shape, RunLengths)
    assert shape.area == 3
    assert np.argwhere(shape.mask()).tolist() == [[2, 1], [3, 1], [4, 1]]


def test_compressed_runs_agree_with_pycocotools() -> None:
    reference = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(40):
        size = tuple(rng.integers(1, 300, 2).tolist())
        region = (rng.random(size) < rng.random()) & (rng.random() < 0.95)
        if rng.random() < 0.5:  # long runs, which take more than one character
            region = np.kron(region[::9, ::9], np.ones((9, 9), bool))[: size[0], : size[1]]
        encoded = reference.encode(np.asfortranarray(region, np.uint8))
        value = {"size": list(region.shape), "counts": encoded["counts"].decode()}
        shape = read_segmentation(value, region.shape)
        assert isinstance(shape, RunLengths)
        np.testing.assert_array_equal(shape.mask(), region)
        assert shape.area == reference.area(encoded)


@settings(max_examples=300, derandomize=True, database=None)
@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=60))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    try:
        counts = decompress(text)
    except EntryError:
        return
    assert counts.dtype == np.int64
    assert len(counts) == sum(not (ord(character) - 48) & 32 for character in text)
