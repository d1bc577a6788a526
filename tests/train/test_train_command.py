"""`nas train`, `nas transfer` and `nas finetune` as a user types them."""

from pathlib import Path

import pytest
import yaml
from tiny_training import RecipeMaker

from nas.cli.main import run
from nas.space import ArchManager, SearchSpace


@pytest.fixture
def recipe(make_config: RecipeMaker, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(make_config(steps=2).model_dump(mode="json")))
    return path


def test_from_recipe_to_subnet(
    recipe: Path, tmp_path: Path, tiny_space: SearchSpace, capsys: pytest.CaptureFixture[str]
) -> None:
    arch = tmp_path / "arch.json"
    ArchManager(tiny_space).smallest(head="heatmap").save(arch)
    runs = str(tmp_path / "runs")
    assert run(["train", str(recipe), "--runs", runs, "--name", "a", "--set", "seed=3"]) == 0
    folder = tmp_path / "runs" / "a"
    assert yaml.safe_load((folder / "config.yaml").read_text())["seed"] == 3
    assert run(["transfer", str(folder), str(arch), "--name", "s"]) == 0
    assert run(["finetune", str(folder), str(arch), "--name", "s", "--set", "steps=1"]) == 0
    printed = capsys.readouterr().out.split()
    for path in ("weights.safetensors", "subnets/s-inherited.safetensors", "subnets/s.safetensors"):
        assert str(folder / path) in printed
        assert (folder / path).is_file()


def test_a_mistake_is_one_line_and_code_2(recipe: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["train", str(recipe), "--set", "optimizer.lr=fast"]) == 2
    error = capfd.readouterr().err.strip()
    assert "optimizer.lr" in error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1
