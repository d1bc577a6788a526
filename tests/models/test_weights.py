"""Weights files that are not what they seem: one line that names the file and what of it is wrong."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from nas.errors import UserError
from nas.models import PoseNet, load_into, load_weights, read_weights, save_weights
from nas.space import ArchManager, SearchSpace


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    save_weights(path, PoseNet(ArchManager(SearchSpace.load("demo")).smallest(head="heatmap"), "coco17"))
    return path


def rewritten(weights: Path, path: Path, *, metadata: Any = None, tensors: Any = None) -> Path:
    """The file with other metadata (data, or a text), or with some other tensors."""
    with safe_open(weights, framework="pt") as file:
        known = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = file.metadata()["nas"]
    if metadata is not None:
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    save_file({**known, **(tensors or {})}, path, {"nas": text})
    return path


def about(weights: Path, field: str, value: Any) -> dict[str, Any]:
    """The file's metadata with another value of one field."""
    metadata: dict[str, Any] = copy.deepcopy(read_weights(weights)[0])
    *above, last = field.split(".")
    holder = metadata
    for name in above:
        holder = holder[name]
    holder[last] = value
    return metadata


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("version", 2, "metadata: weights format 2, this version reads 1"),
        ("version", "1", "metadata.version: expected an integer"),
        ("skeleton", [], "metadata.skeleton: expected a mapping"),
        ("skeleton.sigmas", [0.1], "metadata.skeleton: sigmas"),
        ("arch", "x", "metadata.arch: expected a mapping"),
        ("arch.stem.width", 7, "metadata.arch: stem.width"),
        ("arch.stem.width", 10**12, "metadata.arch: stem.width"),
        ("arch.head.type", "nonsense", "metadata.arch: head"),
        # Sound by themselves, but not what the tensors are; far more than any memory holds.
        ("arch.stem.width", 65_536, "does not fit the network that it describes"),
        ("arch.stem.width", 8, "does not fit the network that it describes"),
    ],
)
def test_metadata_of_another_network(
    field: str, value: Any, said: str, weights: Path, tmp_path: Path
) -> None:
    path = rewritten(weights, tmp_path / "net.safetensors", metadata=about(weights, field, value))
    with pytest.raises(UserError) as caught:
        load_weights(path)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"version": 1, "version": 1}', "is given twice"),
        ('{"version": 1e999}', "expected a finite number"),
        ("[]", "expected a mapping"),
        ('{"version": 1}', "metadata.skeleton: is missing"),
        ('{"version": 1, "skeleton": {}}', "metadata.arch: is missing"),
    ],
)
def test_metadata_that_cannot_be_read(text: str, said: str, weights: Path, tmp_path: Path) -> None:
    path = rewritten(weights, tmp_path / "net.safetensors", metadata=text)
    for read in (load_weights, read_weights):
        with pytest.raises(UserError, match=said) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: metadata")


def test_weights_that_are_not_finite_are_a_line(weights: Path, tmp_path: Path) -> None:
    name, tensor = next(
        (name, tensor) for name, tensor in read_weights(weights)[1].items() if name.endswith(".weight")
    )
    spoilt = tensor.clone()
    spoilt.flatten()[:3] = torch.tensor([float("nan"), float("inf"), -float("inf")])
    path = rewritten(weights, tmp_path / "net.safetensors", tensors={name: spoilt})
    net = load_weights(weights)
    for read in (load_weights, read_weights, lambda path: load_into(net, path)):
        with pytest.raises(UserError, match=f"weights {name} hold 3 numbers that are not finite") as caught:
            read(path)
        assert str(path) in str(caught.value)
    assert all(torch.isfinite(parameter).all() for parameter in net.parameters())


def test_files_that_are_no_weights(weights: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:-100])
    empty = tmp_path / "empty.safetensors"
    empty.write_bytes(b"")
    cases = {
        "not a safetensors file": cut,
        "file is empty": empty,
        "is a folder": tmp_path,
        "is no regular file": Path("/dev/zero"),
        "no such weights file": tmp_path / "absent.safetensors",
    }
    for said, path in cases.items():
        with pytest.raises(UserError, match=said) as caught:
            load_weights(path)
        assert str(caught.value).startswith(str(path))
