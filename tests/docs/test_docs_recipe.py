"""The page of a recipe of one's own is complete, and its files are what the commands read."""

import re
from pathlib import Path

import pytest
from pages_of_docs import ROOT, CodeBlock, blocks, blocks_of
from pydantic import BaseModel

from nas.documents import parse_yaml
from nas.runs import SupernetConfig, load_config
from nas.space import Skeleton

PAGE = ROOT / "docs" / "recipe.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("horses")
    for block in blocks_of(PAGE):
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
    return folder


def test_its_files_are_read(folder: Path) -> None:
    config = load_config(folder / "recipe.yaml")
    assert config.load_space().name == "horses"
    skeleton = Skeleton.load(config.skeleton)
    assert skeleton.limbs
    assert config.finetune.epochs == 12
    assert str(folder) in str(config.data.root)


def test_it_names_every_field(folder: Path) -> None:
    text = (folder / "recipe.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"(\w+):", text))
    assert fields_of(SupernetConfig) - named == set()


def fields_of(model: type[BaseModel]) -> set[str]:
    """Names of all fields, those of models inside included."""
    names = set()
    for name, field in model.model_fields.items():
        names.add(name)
        for inner in models_in(field.annotation):
            names |= fields_of(inner)
    return names


def models_in(annotation: object) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    found: set[type[BaseModel]] = set()
    for inner in getattr(annotation, "__args__", ()):
        found |= models_in(inner)
    return found


def test_defaults_in_brackets_are_the_defaults() -> None:
    """Those of numbers and words behind a field of the top level."""
    (recipe,) = (block.text for block in blocks_of(PAGE) if block.title == "recipe.yaml")
    told = re.findall(r"^(\w+): [^{\n]*# \[([\w.-]+)\]", recipe, re.MULTILINE)
    assert len(told) > 8
    for name, text in told:
        default = SupernetConfig.model_fields[name].default
        assert text == ("null" if default is None else str(default)) or float(text) == default, name


def test_the_page_of_recipes_shows_all_that_ship() -> None:
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    shown = re.findall(r'^--8<-- "(.*)"$', page, re.MULTILINE)
    assert sorted(shown) == [f"supernets/{path.name}" for path in sorted((ROOT / "supernets").glob("*.yaml"))]
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert headings == [Path(path).stem for path in shown]


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: f"{block.page} {block.title}")
def test_blocks_of_yaml_are_yaml(block: CodeBlock) -> None:
    if block.text.startswith("--8<--"):
        return
    assert isinstance(parse_yaml(block.text, block.page), dict)
