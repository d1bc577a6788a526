"""The operator that docs/graph.md adds: traced, counted and exported as it is printed there."""

import re
from pathlib import Path

import onnx
import pytest

from nas.graph import UnknownOperatorError, complexity, features, registry
from nas.graph.tracer import Tracer

PAGE = Path(__file__).parents[2] / "docs" / "graph.md"


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch):
    """Records that are registered meanwhile are forgotten afterwards."""
    registry.kinds()  # loads the known ones
    for name in ("_RECORDS", "_BY_FUNCTION"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    yield
    registry.find.cache_clear()


def test_the_page_adds_an_operator(own_registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    network, record, use = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict = {}
    exec(network, names)
    exec(record.split("\nregister(")[0], names)
    with pytest.raises(UnknownOperatorError) as missing:
        exec(use, names)
    assert f"`{missing.value}`" in PAGE.read_text().replace("\n", " ")
    exec(record, names)
    exec(use, names)
    arch, graph = names["arch"], names["graph"]
    smoothed = [operator for operator in graph.operators if operator.kind == "conv1d"]
    assert {features(operator).label for operator in smoothed} == {"conv1d.dense"}
    bins = sum(operator.shape[2] for operator in smoothed)
    assert names["added"] == 17 * 3 * bins > 0
    assert complexity(arch, "coco17").macs == Tracer(arch, "coco17")(arch).macs
    model = onnx.load("smooth.onnx")
    kernels = [a.ints for node in model.graph.node for a in node.attribute if a.name == "dilations"]
    assert [1] in [list(ints) for ints in kernels]
