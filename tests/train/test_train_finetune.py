"""Subnets out of a supernet: transferred, fine-tuned, trained alone; and data that stay apart."""

import json
from pathlib import Path

import pytest
import torch
from tiny_training import RecipeMaker

from nas.cli.main import run as run_command
from nas.errors import UserError
from nas.models import load_weights
from nas.runs import RunFolder, load_finetune_config, load_supernet, open_calibration, open_data
from nas.space import Arch, ArchManager, SearchSpace
from nas.train import finetune_subnet, train_supernet, transfer_subnet


@pytest.fixture
def run(make_config: RecipeMaker, tmp_path: Path) -> RunFolder:
    return train_supernet(make_config(steps=2), tmp_path / "run")


@pytest.fixture
def arch(tiny_space: SearchSpace) -> Arch:
    return ArchManager(tiny_space).largest(head="heatmap", resolution=(32, 32))


def test_transfer_equals_the_calibrated_supernet(run: RunFolder, arch: Arch) -> None:
    subnet = load_weights(transfer_subnet(run.path, arch))
    supernet = load_supernet(run)
    data = open_data(run.config(), supernet.space, run)
    stats = open_calibration(run, data).statistics(supernet, arch)
    images = torch.randn(2, 3, *arch.resolution)
    assert subnet.arch == arch
    with torch.no_grad():
        assert torch.equal(subnet(images)["heatmaps"], supernet(images, arch, stats)["heatmaps"])


def test_finetuning_goes_on_from_what_is_inherited(run: RunFolder, arch: Arch) -> None:
    recipe = load_finetune_config(run.path, ["steps=3", "optimizer.lr=1e-9", "distillation=0.3"])
    inherited = load_weights(transfer_subnet(run.path, arch))
    tuned = load_weights(finetune_subnet(run.path, arch, recipe=recipe))
    alone = load_weights(finetune_subnet(run.path, arch, recipe=recipe, scratch=True))
    assert tuned.is_calibrated
    assert alone.is_calibrated
    for name, parameter in inherited.named_parameters():
        assert torch.allclose(tuned.get_parameter(name), parameter, atol=1e-6), name
    assert not torch.allclose(
        alone.get_parameter("stems.separable.conv.weight"),
        tuned.get_parameter("stems.separable.conv.weight"),
        atol=1e-2,
    )
    assert sorted(path.name for path in run.subnets_folder.iterdir()) == [
        f"{arch.id}-inherited.safetensors",
        f"{arch.id}-scratch.safetensors",
        f"{arch.id}.safetensors",
    ]


def test_the_supernets_largest_network_teaches_in_the_precision_of_the_training(
    run: RunFolder, arch: Arch
) -> None:
    recipe = load_finetune_config(run.path, ["steps=1", "distillation=0.5", "precision=64-true"])
    assert load_weights(finetune_subnet(run.path, arch, recipe=recipe)).is_calibrated


def test_another_recipe_under_the_same_name_is_refused(run: RunFolder, arch: Arch) -> None:
    finetune_subnet(run.path, arch, recipe=load_finetune_config(run.path, ["steps=1"]))
    with pytest.raises(UserError, match=r"another recipe.*`name`"):
        finetune_subnet(run.path, arch, recipe=load_finetune_config(run.path, ["steps=2"]))
    recipe = load_finetune_config(run.path, ["steps=2"])
    assert finetune_subnet(run.path, arch, recipe=recipe, name="b").name == "b.safetensors"


def test_another_seed_is_another_training(run: RunFolder, arch: Arch, tmp_path: Path) -> None:
    recipe = load_finetune_config(run.path, ["steps=1"])

    def trained(name: str, seed: int | None) -> torch.Tensor:
        path = finetune_subnet(run.path, arch, recipe=recipe, name=name, scratch=True, seed=seed)
        return load_weights(path).get_parameter("stems.separable.conv.weight")

    own, other = trained("own", None), trained("other", 1)
    assert torch.equal(own, trained("stated", run.config().seed))
    assert not torch.allclose(own, other, atol=1e-2)
    arch.save(tmp_path / "arch.json")
    command = ["finetune", str(run.path), str(tmp_path / "arch.json"), "--scratch", "--set", "steps=1"]
    assert run_command([*command, "--name", "by-command", "--seed", "1"]) == 0
    weights = load_weights(run.subnets_folder / "by-command.safetensors")
    assert torch.equal(weights.get_parameter("stems.separable.conv.weight"), other)
    for name, seed in (("own", 1), ("other", None), ("other", 2)):
        with pytest.raises(UserError, match="another seed"):
            trained(name, seed)
    assert torch.equal(own, trained("own", run.config().seed))


def test_an_arch_of_another_space_is_told_by_field(run: RunFolder) -> None:
    stranger = ArchManager(SearchSpace.load("demo")).smallest(head="heatmap")
    for command in (transfer_subnet, finetune_subnet):
        with pytest.raises(UserError, match="not in space 'tiny': resolution"):
            command(run.path, stranger)


def test_an_untrained_run_is_told(make_config: RecipeMaker, tmp_path: Path, arch: Arch) -> None:
    RunFolder.start(tmp_path / "new", make_config())
    with pytest.raises(UserError, match="holds no trained supernet yet"):
        transfer_subnet(tmp_path / "new", arch)
    with pytest.raises(UserError, match="holds no trained supernet yet"):
        finetune_subnet(tmp_path / "new", arch)


def test_search_split_calibration_and_training_do_not_overlap(run: RunFolder) -> None:
    data = open_data(run.config(), SearchSpace.load(run.config().space), run)
    kept = {image.id for source in data.search for image in source.images}
    trained = {data.training.sample_id(index).image for index in range(len(data.training))}
    calibration = open_calibration(run, data)
    calibrated = {data.training.sample_id(index).image for index in calibration.indices}
    assert kept
    assert kept | trained == set(range(1, 41))
    assert not kept & trained
    assert calibrated <= trained
    assert len(calibrated) == 8
    recorded = json.loads(run.calibration_file.read_text())["samples"]
    assert {sample[1] for sample in recorded} == calibrated


def test_calibration_images_are_the_recorded_ones(run: RunFolder) -> None:
    data = open_data(run.config(), SearchSpace.load(run.config().space), run)
    first = open_calibration(run, data)
    record = json.loads(run.calibration_file.read_text())
    record["samples"] = record["samples"][:3]
    run.calibration_file.write_text(json.dumps(record))
    second = open_calibration(run, data)
    assert second.indices == first.indices[:3]
    (batch,) = second.batches((32, 32))
    assert torch.equal(batch, next(first.batches((32, 32)))[:3])
    record["samples"][0] = [0, 999, 999]
    run.calibration_file.write_text(json.dumps(record))
    with pytest.raises(UserError, match="not in the training set"):
        open_calibration(run, data)
