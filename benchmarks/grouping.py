"""How long joints take to be grouped into people, on one thread of this machine.

    python benchmarks/grouping.py [--people 30] [--rounds 20]

Matching by tags as it is (scipy's assignment) against the tests' plain reference with Munkres' algorithm,
on the same candidates and with the same groups: with people's tags far apart, and near enough that they
compete. Then all of `group` of both heads that group. Printed are medians of CPU time over rounds, in turn.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.codecs.associative_embedding import AssociativeEmbeddingCodec, match_by_tags
from nas.codecs.part_affinity import PartAffinityCodec
from nas.codecs.types import People
from nas.space.skeleton import Skeleton
from nas.timing import describe_device

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "codecs"))
from plain_grouping import plain_match

RESOLUTION = (512, 512)
COLUMNS = 6
"""Of people, in the image."""

TAGS = ((10.0, 0.1), (1.0, 0.3), (0.5, 0.3))
"""How far the tags of neighbouring people lie apart, and the standard deviation of their noise."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--skeleton", default="coco17")
    given = parser.parse_args()
    skeleton = Skeleton.load(given.skeleton)
    people = crowd(given.people, len(skeleton))

    machine = describe_device().cpu
    print(f"{given.people} people, {given.skeleton}, {machine}, {date.today()}")
    embedding = AssociativeEmbeddingCodec(skeleton, RESOLUTION)
    tags = embedding.ideal_tags(people, spacing=1)
    found = embedding.decode_maps({**embedding.encode(people), "tags": tags})
    for spacing, noise in TAGS:
        candidates = found["candidates"].copy()
        candidates[..., 3:] *= spacing
        candidates[..., 3:] += np.random.default_rng(1).normal(0, noise, candidates[..., 3:].shape)
        _require_equal(candidates)
        plain, ours = medians(
            given.rounds, partial(plain_match, candidates), partial(match_by_tags, candidates)
        )
        print(
            f"  tags {spacing:4} apart, noise {noise:3}: Munkres {1e3 * plain:6.2f} ms, "
            f"ours {1e3 * ours:5.2f} ms, {plain / ours:3.0f} times faster"
        )
    affinity = PartAffinityCodec(skeleton, RESOLUTION, stride=8)
    pairs = affinity.decode_maps(affinity.encode(people))
    seconds = medians(given.rounds, partial(embedding.group, found), partial(affinity.group, pairs))
    for name, median in zip(("associative embedding", "part affinity"), seconds, strict=True):
        print(f"  group, {name:22} {1e3 * median:6.2f} ms")


def crowd(count: int, joints: int) -> People:
    """People side by side, each joint of everyone visible."""
    rng = np.random.default_rng(0)
    number = np.arange(count)
    pitch = RESOLUTION[1] / COLUMNS
    corner = np.stack([number % COLUMNS, number // COLUMNS], axis=-1) * pitch
    places = corner[:, None] + rng.uniform(4, pitch - 16, (joints, 2)) + rng.uniform(0, 8, (count, joints, 2))
    keypoints = np.concatenate([places, np.full((count, joints, 1), 2.0)], axis=-1)
    return People(keypoints, np.full(count, pitch**2), np.zeros((count, 4)))


def medians(rounds: int, *functions: Callable[[], object]) -> list[float]:
    """Median CPU seconds of functions that are called in turn; two rounds warm up."""
    seconds = np.zeros((rounds + 2, len(functions)))
    for row in seconds:
        for column, function in enumerate(functions):
            start = time.process_time()
            function()
            row[column] = time.process_time() - start
    return [float(median) for median in np.median(seconds[2:], axis=0)]


def _require_equal(candidates: NDArray[np.floating]) -> None:
    keypoints, _ = match_by_tags(candidates)
    expected = plain_match(candidates)
    assert len(keypoints) == len(expected), f"{len(keypoints)} people instead of {len(expected)}"
    for pose, person in zip(keypoints, expected, strict=True):
        reference = np.zeros_like(pose)
        for joint, row in person.items():
            reference[joint] = row[:3]
        assert np.array_equal(pose, reference)


if __name__ == "__main__":
    main()
