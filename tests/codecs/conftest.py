"""Skeletons for the codecs' tests."""

import pytest
from hypothesis import settings

from nas.space.skeleton import Skeleton

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def skeleton() -> Skeleton:
    return Skeleton.load("coco17")
