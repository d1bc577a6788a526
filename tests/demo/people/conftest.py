"""Small generated sets."""

from pathlib import Path

import pytest

from nas.demo.people import generate


@pytest.fixture(scope="session")
def train_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The annotation file of 40 images."""
    return generate(tmp_path_factory.mktemp("people") / "train", images=40, seed=1)


@pytest.fixture(scope="session")
def val_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The annotation file of 30 images."""
    return generate(tmp_path_factory.mktemp("people") / "val", images=30, seed=2)
