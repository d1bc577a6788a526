"""Fixtures that several parts share."""

from pathlib import Path

import pytest
from hypothesis import settings

import nas  # noqa: F401 - before any test imports onnxruntime, whose reports of use it switches off

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real annotated photographs; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real photographs are not at {SHARED_DATA}")
    return SHARED_DATA
