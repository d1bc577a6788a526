"""Backbones pretrained under other heads: what is taken, what is left, what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from test_train_resume import Killed, before_step, die, same_run
from tiny_training import SPACE, STAGE, RecipeMaker

from nas.cli.main import run as nas
from nas.errors import UserError
from nas.models import PoseNet, calibrate, load_weights, save_weights, transfer
from nas.space import Arch, ArchManager, SearchSpace
from nas.train import initialise, train_supernet
from nas.train.backbone import initialise_backbone

BODY = ("stems.", "stages.")


def space(**changes: Any) -> SearchSpace:
    return SearchSpace.from_json({"version": 1, **SPACE, **changes})


HEATMAPS = {"necks": {"fusion_deconv": SPACE["necks"]["fusion_deconv"]}, "heads": {"heatmap": {}}}
OTHERS = {"heads": {"simcc": {"neck": "none"}, "rle": {"neck": "fusion_deconv"}}}


def net_of(over: SearchSpace | Arch, seed: int, skeleton: str = "coco17") -> PoseNet:
    """A network whose every parameter is random, norms and biases too."""
    torch.manual_seed(seed)
    net = PoseNet(over, skeleton)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
    return net


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A supernet with heatmap heads."""
    path = tmp_path_factory.mktemp("pretrained") / "heatmaps.safetensors"
    save_weights(path, net_of(space(**HEATMAPS), seed=1))
    return path


@pytest.mark.parametrize("skeleton", ["coco17", "crowdpose14"])
def test_a_supernet_with_other_heads_takes_backbone_and_neck(pretrained: Path, skeleton: str) -> None:
    source = load_weights(pretrained)
    net, untouched = (net_of(space(**OTHERS), seed=2, skeleton=skeleton) for _ in range(2))
    taken = initialise_backbone(net, pretrained)
    for name, parameter in net.named_parameters():
        same = name.startswith((*BODY, "necks."))
        expected = source.get_parameter(name) if same else untouched.get_parameter(name)
        assert torch.equal(parameter, expected), name
    body = sum(name.startswith(BODY) for name, _ in net.named_parameters())
    neck = sum(name.startswith("necks.") for name, _ in net.named_parameters())
    assert dict(taken.parts) == {"backbone": (body, body), "neck fusion_deconv": (neck, neck)}
    assert set(taken.left_out) == {"head heatmap"}
    assert str(taken).endswith(f"; not taken: head heatmap ({taken.left_out['head heatmap']})")


def test_of_a_neck_only_what_agrees_is_taken(pretrained: Path) -> None:
    other = {"fusion_deconv": {"upsampler": ["nearest_dw"], "widths": [[8, 16], 16]}}
    net = net_of(space(necks=other, heads={"heatmap": {}}), seed=2)
    source = load_weights(pretrained)
    taken = initialise_backbone(net, pretrained)
    count, total = taken.parts["neck fusion_deconv"]
    assert 0 < count < total
    assert taken.left_out["neck fusion_deconv"] > 0
    for name, parameter in net.named_parameters():
        if name.startswith("necks."):
            theirs = source.get_parameter(name)
            assert theirs.shape != parameter.shape or torch.equal(parameter, theirs)


def test_a_single_network_gets_its_slice_of_a_supernet(pretrained: Path) -> None:
    source = load_weights(pretrained)
    arch = ArchManager(space(**OTHERS)).smallest(head="rle")
    donor = replace(ArchManager(source.space).smallest(), resolution=arch.resolution)
    assert (donor.stem, donor.stages, donor.neck) == (arch.stem, arch.stages, arch.neck)
    images = torch.randn(2, 3, *arch.resolution)
    slice_ = transfer(source, donor, calibrate(source, donor, [images]))
    net = net_of(arch, seed=2)
    taken = initialise_backbone(net, pretrained)
    assert taken.parts["backbone"][0] == taken.parts["backbone"][1]
    for name, parameter in net.named_parameters():
        if not name.startswith("heads."):
            assert torch.equal(parameter, slice_.get_parameter(name)), name


def test_a_supernet_takes_a_smaller_network_into_its_leading_channels(tmp_path: Path) -> None:
    stages = [{**STAGE, "width": [8, 16], "kernel": 5}] * 2
    target_space = space(stages=[*stages, {**STAGE, "width": [16], "depth": 1, "kernel": 5}], **OTHERS)
    small = net_of(ArchManager(target_space).smallest(head="rle"), seed=1)
    save_weights(tmp_path / "small.safetensors", small)
    net = net_of(target_space, seed=2)
    taken = initialise_backbone(net, tmp_path / "small.safetensors")
    count, total = taken.parts["backbone"]
    assert count == sum(name.startswith(BODY) for name, _ in small.named_parameters())
    assert count < total, "the supernet's further blocks are not in the file"
    narrow = small.get_parameter("stages.1.types.mbconv.0.project.weight")
    wide = net.get_parameter("stages.1.types.mbconv.0.project.weight")
    assert wide.shape > narrow.shape
    assert torch.equal(wide[: narrow.shape[0], : narrow.shape[1]], narrow)


SHUFFLE = {key: value for key, value in {**STAGE, "type": "shuffle"}.items() if key != "expansion"}


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{**STAGE, "width": 8}] * 3, r"stages\.\S+ is \[.*\] there, \[.*\] here"),
        ([{**STAGE, "width": 16, "kernel": [3, 5, 7]}] * 3, r"stages\.\S+ is \[.*\] there, \[.*\] here"),
        ([{**SHUFFLE, "width": 16}] * 3, "is not in this network"),
        ([{**STAGE, "width": 16}] * 2, "is not in this network"),
    ],
)
def test_a_backbone_of_other_layers_is_refused_in_one_line(
    pretrained: Path, stages: list[dict[str, Any]], message: str
) -> None:
    net = net_of(space(stages=stages, heads={"simcc": {"neck": "none"}}, necks={"none": {}}), seed=2)
    before = {name: parameter.clone() for name, parameter in net.named_parameters()}
    with pytest.raises(
        UserError, match=rf"heatmaps\.safetensors: its backbone is of other layers: .*{message}"
    ) as e:
        initialise_backbone(net, pretrained)
    assert "\n" not in str(e.value)
    assert all(torch.equal(parameter, before[name]) for name, parameter in net.named_parameters())


def test_a_single_network_takes_only_its_own_backbone(pretrained: Path, tmp_path: Path) -> None:
    tiny = space(**OTHERS)
    manager = ArchManager(tiny)
    small, large = manager.smallest(head="rle"), manager.largest(head="rle")
    save_weights(tmp_path / "small.safetensors", net_of(small, seed=1))
    with pytest.raises(UserError, match="its backbone is of other layers"):
        initialise_backbone(net_of(large, seed=2), tmp_path / "small.safetensors")
    wider = replace(small, stages=(replace(small.stages[0], width=24), *small.stages[1:]))
    with pytest.raises(
        UserError, match=r"its space 'tiny' does not hold the backbone of \w+: stages\.0\.width"
    ):
        initialise_backbone(net_of(wider, seed=2), pretrained)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.safetensors: no such weights file"):
        initialise_backbone(net_of(space(), seed=0), tmp_path / "gone.safetensors")


def test_heads_of_other_joints_are_not_taken_with_all_weights(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", net_of(space(), seed=1, skeleton="crowdpose14"))
    net, untouched = (net_of(space(), seed=2) for _ in range(2))
    initialise(net, tmp_path / "w.safetensors")
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, untouched.get_parameter(name)) == name.startswith("heads."), name


def test_training_starts_from_it_and_resumes_to_the_bit(
    make_config: RecipeMaker, pretrained: Path, tmp_path: Path
) -> None:
    config = make_config(init={"backbone": str(pretrained)}, steps=6)
    straight = train_supernet(config, tmp_path / "straight")
    with before_step(4, die), pytest.raises(Killed):
        train_supernet(config, tmp_path / "killed")
    same_run(straight, train_supernet(config, tmp_path / "killed"))
    other = train_supernet(make_config(steps=6), tmp_path / "other")
    name = "stems.separable.conv.weight"
    assert not torch.allclose(
        load_weights(other.weights_file).get_parameter(name),
        load_weights(straight.weights_file).get_parameter(name),
        atol=0.1,
    )


def test_commands_take_it(
    make_config: RecipeMaker, pretrained: Path, tmp_path: Path, tiny_space: SearchSpace
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(make_config(steps=1, optimizer={"lr": 1e-9}).model_dump(mode="json")))
    runs, option = tmp_path / "runs", ["--init-backbone", str(pretrained)]
    assert nas(["train", str(recipe), "--runs", str(runs), "--name", "a", *option]) == 0
    source = load_weights(pretrained)
    trained = load_weights(runs / "a" / "weights.safetensors")
    for name, parameter in trained.named_parameters():
        if name.startswith((*BODY, "necks.")):
            assert torch.allclose(parameter, source.get_parameter(name), atol=1e-6), name

    arch = ArchManager(tiny_space).largest(head="simcc", resolution=(32, 32))
    arch.save(tmp_path / "arch.json")
    command = ["finetune", str(runs / "a"), str(tmp_path / "arch.json"), "--scratch", "--name", "b"]
    assert nas([*command, *option, "--set", "steps=1", "--set", "optimizer.lr=1e-9"]) == 0
    tuned = load_weights(runs / "a" / "subnets" / "b.safetensors")
    donor = ArchManager(source.space).largest(resolution=arch.resolution)
    slice_ = transfer(source, donor, calibrate(source, donor, [torch.randn(2, 3, 32, 32)]))
    for name, parameter in tuned.named_parameters():
        if name.startswith(BODY):
            assert torch.allclose(parameter, slice_.get_parameter(name), atol=1e-6), name


def test_all_weights_or_a_backbone_not_both(make_config: RecipeMaker) -> None:
    for init in (
        {"weights": "a", "backbone": "b"},
        {},
        {"weights": "a", "backbone": "b", "zero_residual": True},
    ):
        with pytest.raises(UserError, match=r"init: .*give one of weights, backbone"):
            make_config(init=init)
