"""Skeletons for the codecs' tests."""

import pytest

from nas.space.skeleton import Skeleton


@pytest.fixture(scope="session")
def skeleton() -> Skeleton:
    return Skeleton.load("coco17")
