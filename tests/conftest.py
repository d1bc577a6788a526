"""Fixtures that several parts share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import nas  # noqa: F401 - before any test imports onnxruntime, whose reports of use it switches off

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


# `make test-all` asks for the thorough one. What takes examples of its own number says so.
settings.register_profile("quick", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.load_profile("quick")


@pytest.fixture(scope="session", autouse=True)
def _small_forests() -> Iterator[None]:
    """A fit spends nine tenths of its time on the forests that it is compared with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.latency.baselines.TREES", 4)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real annotated photographs; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real photographs are not at {SHARED_DATA}")
    return SHARED_DATA
