"""A likelihood may be negative: nothing is skipped, and the report draws it."""

import json
from pathlib import Path

import yaml
from tiny_training import SPACE, RecipeMaker

from nas.report.training import training_section
from nas.runs import read_metrics
from nas.train import train_supernet


def test_a_negative_loss_trains_like_any_other(
    make_config: RecipeMaker, tiny_files: Path, tmp_path: Path
) -> None:
    """People who all stand alike are soon found for sure."""
    annotations = json.loads((tiny_files / "people.json").read_text())
    for person in annotations["annotations"]:
        person["keypoints"] = annotations["annotations"][0]["keypoints"]
    (tmp_path / "alike.json").write_text(json.dumps(annotations))
    (tmp_path / "space.yaml").write_text(
        yaml.safe_dump({**SPACE, "heads": {"rle": {"neck": "none"}}, "necks": {"none": {}}})
    )
    source = {"annotations": str(tmp_path / "alike.json"), "images": str(tiny_files / "images")}
    data = {"root": str(tmp_path), "train": source, "augment": "none", "workers": 0, "cache_mib": 0}
    config = make_config(space=str(tmp_path / "space.yaml"), data=data, steps=30, optimizer={"lr": 2e-2})
    run = train_supernet(config, tmp_path / "run")
    metrics = read_metrics(run.metrics_file)
    assert metrics[0]["rle/largest"] > 0
    assert metrics[-1]["rle/largest"] < 0
    assert metrics[-1]["skipped"] == 0
    assert run.weights_file.is_file()
    assert '{"label": "loss", "log": false}' in training_section(metrics, {})
