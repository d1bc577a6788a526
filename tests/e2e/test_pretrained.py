"""Weights that ship are a start for other data: photographs and people that they have not seen."""

from pathlib import Path
from typing import Any

import pytest

from nas.data import load_annotations
from nas.evaluate.loading import load_model
from nas.evaluate.validate import validate
from nas.runs import load_config, load_finetune_config
from nas.space import ArchManager, Skeleton
from nas.train import finetune_subnet, train_supernet

IMAGES = 20_000


@pytest.mark.slow
def test_what_ships_is_ahead_of_random_weights(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "coco_mini"
    train, val = (str(folder / f"annotations/coco17_{part}.json") for part in ("train", "val"))
    images = str(folder / "images")
    config = load_config(
        "person-crop-photographs",
        ["steps=1", "batch=4", "resolutions=[[96, 64]]", "validation.every=null"],
    )
    sets = {"train": train, "val": val}
    data: dict[str, Any] = {name: [{"annotations": file, "images": images}] for name, file in sets.items()}
    data |= {"root": str(folder), "workers": 0}
    config = config.model_validate({**config.model_dump(), "data": {**config.data.model_dump(), **data}})
    run = train_supernet(config, tmp_path / "run")
    arch = ArchManager(run.config().load_space()).smallest(head="simcc", neck="none")
    people = load_annotations(val, images, Skeleton.load("coco17"))
    starts: dict[str, list[str]] = {"random": [], "shipped": ["init.weights=person-crop-photographs"]}
    found = {}
    for name, start in starts.items():
        recipe = load_finetune_config(run.path, [f"images={IMAGES}", *start])
        weights = finetune_subnet(run.path, arch, recipe=recipe, name=name, scratch=True)
        found[name] = validate(load_model(weights), people).figures
    shipped, random = found["shipped"], found["random"]
    print({name: (shipped[name], random[name]) for name in ("AP", "AP50", "PCK_torso@0.2")})
    assert shipped["AP50"] > 1.3 * random["AP50"]
    assert shipped["PCK_torso@0.2"] > 1.1 * random["PCK_torso@0.2"]
