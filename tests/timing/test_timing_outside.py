"""The work outside the graph."""

from dataclasses import replace

import numpy as np

from nas.space import ArchManager, SearchSpace, Skeleton
from nas.timing.outside import grouping, random_candidates

SHAPES = {"candidates": (17, 30, 4), "heatmap": (17, 128, 128), "tag_map": (17, 128, 128, 1)}


def test_random_candidates_group_into_so_many_people() -> None:
    arch = ArchManager(SearchSpace.load("litepose")).smallest()
    codec_work = grouping(arch, Skeleton.load("coco17"), people=7)(SHAPES)
    poses = codec_work()
    assert len(poses) == 7  # type: ignore[arg-type]


def test_direct_heads_get_coordinates_within_the_input() -> None:
    shapes = {"keypoints": (1, 17, 3), "scores": (1,)}
    candidates = random_candidates(shapes, (64, 32), people=1, rng=np.random.default_rng(0))
    assert {name: value.shape for name, value in candidates.items()} == shapes
    assert candidates["keypoints"][..., 1].max() > 32  # y reaches beyond the width
    assert candidates["keypoints"][..., 0].max() <= 32


def test_the_module_that_a_codec_lacks_is_named() -> None:
    work = grouping(ArchManager(SearchSpace.load("demo")).smallest(), Skeleton.load("coco17"))
    assert work.missing() is None
    assert replace(work, codec="absent_package.codec:Codec").missing() == "absent_package"
