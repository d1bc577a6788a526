"""Initialisation from weights of ours and from released LitePose checkpoints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import RecipeMaker
from torch import Tensor

from nas.errors import UserError
from nas.layers import Context
from nas.models import PoseNet, load_weights, save_weights
from nas.runs import load_finetune_config
from nas.runs.config import InitConfig
from nas.space import Arch, ArchManager, SearchSpace
from nas.train import finetune_subnet, train_supernet
from nas.train.initialise import initialise, start_from
from nas.train.litepose_checkpoint import litepose_name

XS = "litepose-auto-xs"


def litepose_shapes(arch: Arch, keypoints: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the released network's state dict, written down from its published structure."""

    def norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            yield f"{name}.{leaf}", (width,)
        yield f"{name}.num_batches_tracked", ()

    stem = arch.stem.width
    yield "first.0.0.weight", (32, 3, 3, 3)
    yield from norm("first.0.1", 32)
    yield "first.1.0.weight", (32, 1, 3, 3)
    yield from norm("first.1.1", 32)
    yield "first.2.weight", (stem, 32, 1, 1)
    yield from norm("first.3", stem)
    width = stem
    channels = [stem]
    for index, stage in enumerate(arch.stages):
        for number, block in enumerate(stage.blocks):
            hidden = width * block.expansion
            prefix = f"stage.{index}.{number}"
            yield f"{prefix}.inv.0.weight", (hidden, width, 1, 1)
            yield from norm(f"{prefix}.inv.1", hidden)
            yield f"{prefix}.depth_conv.0.weight", (hidden, 1, block.kernel, block.kernel)
            yield from norm(f"{prefix}.depth_conv.1", hidden)
            yield f"{prefix}.point_conv.0.weight", (stage.width, hidden, 1, 1)
            yield from norm(f"{prefix}.point_conv.1", stage.width)
            width = stage.width
        channels.append(width)
    refined = channels[-1]
    for level, out in enumerate(arch.neck.widths):
        yield f"deconv_refined.{level}.weight", (refined, out, 4, 4)
        yield f"deconv_raw.{level}.weight", (channels[-level - 2], out, 4, 4)
        yield from norm(f"deconv_bnrelu.{level}.0", out)
        refined = out
    for index, outputs in enumerate((2 * keypoints, keypoints)):
        for branch, source in (("refined", arch.neck.widths[index + 1]), ("raw", channels[-index - 4])):
            prefix = f"final_{branch}.{index}.conv"
            yield f"{prefix}.0.weight", (source, 1, 5, 5)
            yield from norm(f"{prefix}.1", source)
            yield f"{prefix}.3.weight", (outputs, source, 1, 1)


@pytest.fixture(scope="module")
def arch() -> Arch:
    return SearchSpace.load("litepose-published").published()[XS]


@pytest.fixture(scope="module")
def released(arch: Arch) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator) if shape else torch.tensor(3)
        for name, shape in litepose_shapes(arch, 14)
    }


def test_every_parameter_of_the_released_network_has_its_place(
    arch: Arch, released: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "xs.pth.tar"
    torch.save(released, path)
    net = PoseNet(arch, "crowdpose14")
    parameters = dict(net.named_parameters())
    assert initialise(net, path) == len(parameters)
    mapped = {litepose_name(key): tensor for key, tensor in released.items()}
    for name, parameter in parameters.items():
        assert torch.equal(parameter, mapped[name]), name


@pytest.mark.parametrize(
    ("wrap", "prefix"), [(False, "module."), (True, ""), (True, "module."), (False, "1.")]
)
def test_usual_wrappings_are_seen_through(
    arch: Arch, released: dict[str, Tensor], tmp_path: Path, wrap: bool, prefix: str
) -> None:
    content: Any = {f"{prefix}{key}": tensor for key, tensor in released.items()}
    path = tmp_path / "xs.pth.tar"
    torch.save({"state_dict": content, "epoch": 3} if wrap else content, path)
    net = PoseNet(arch, "crowdpose14")
    assert initialise(net, path) == len(list(net.parameters()))


def test_a_supernet_takes_it_into_its_leading_channels(released: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "xs.pth.tar"
    torch.save(released, path)
    net = PoseNet(SearchSpace.load("litepose-published"), "crowdpose14")
    initialise(net, path)
    weight = dict(net.named_parameters())["stages.1.types.mbconv.3.project.weight"]
    narrow = released["stage.1.3.point_conv.0.weight"]
    assert weight.shape > narrow.shape
    assert torch.equal(weight[: narrow.shape[0], : narrow.shape[1]], narrow)


def test_other_joints_are_not_taken(arch: Arch, released: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "xs.pth.tar"
    torch.save(released, path)
    net = PoseNet(arch, "coco17")
    before = {name: p.detach().clone() for name, p in net.named_parameters() if "pointwise" in name}
    initialise(net, path)
    after = dict(net.named_parameters())
    assert before
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_weights_of_ours(tiny_space: SearchSpace, tmp_path: Path) -> None:
    first, second = PoseNet(tiny_space, "coco17"), PoseNet(tiny_space, "coco17")
    save_weights(tmp_path / "w.safetensors", first)
    initialise(second, tmp_path / "w.safetensors")
    for left, right in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(left, right)


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("content", ["code", "text", "other", "list"])
def test_what_is_no_checkpoint_is_refused_without_running_it(
    tiny_space: SearchSpace, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "x.pth.tar"
    if content == "text":
        path.write_text("<html>not found</html>")
    else:
        values = {"code": Malicious(tmp_path / "ran"), "other": {"fc.weight": torch.ones(2)}, "list": [1]}
        torch.save(values[content], path)
    with pytest.raises(UserError, match=r"x\.pth\.tar"):
        initialise(PoseNet(tiny_space, "coco17"), path)
    assert not (tmp_path / "ran").exists()


def test_a_missing_file_is_named(tiny_space: SearchSpace, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.pth\.tar: no such checkpoint"):
        initialise(PoseNet(tiny_space, "coco17"), tmp_path / "gone.pth.tar")


def test_residual_blocks_pass_on_what_comes_in_at_first(tiny_space: SearchSpace) -> None:
    arch = ArchManager(tiny_space).largest(head="heatmap", resolution=(32, 32))
    nets = []
    for init in (None, InitConfig(zero_residual=True)):
        torch.manual_seed(0)
        nets.append(PoseNet(tiny_space, "coco17"))
        start_from(nets[-1], init)
    plain, started = nets
    changed = {
        name for name, p in started.named_parameters() if not torch.equal(p, plain.get_parameter(name))
    }
    stages = range(len(tiny_space.spec.stages))
    depths = [max(stage.depths) for stage in tiny_space.spec.stages]
    assert changed == {
        f"stages.{stage}.types.mbconv.{block}.project_norm.weight"
        for stage in stages
        for block in range(1, depths[stage])
    }
    block = started.stages[0].types["mbconv"][1]
    x = torch.randn(2, 16, 8, 8)
    stage = arch.stages[0]
    assert torch.equal(block(x, stage, stage.blocks[1], Context()), x)
    assert not torch.equal(plain.stages[0].types["mbconv"][1](x, stage, stage.blocks[1], Context()), x)


def test_they_learn_all_the_same(make_config: RecipeMaker, tmp_path: Path) -> None:
    run = train_supernet(make_config(init={"zero_residual": True}), tmp_path / "run")
    norm = load_weights(run.weights_file).get_parameter("stages.0.types.mbconv.1.project_norm.weight")
    assert (norm != 0).all()


def test_blocks_that_are_not_in_the_weights_pass_on_what_comes_in(
    tiny_space: SearchSpace, tmp_path: Path
) -> None:
    content = tiny_space.to_json()
    content["stages"][0]["depth"] = [1]
    source = PoseNet(SearchSpace.from_json(content), "coco17")
    save_weights(tmp_path / "source.safetensors", source)
    net = PoseNet(tiny_space, "coco17")
    start_from(net, InitConfig(weights=str(tmp_path / "source.safetensors"), zero_residual=True))
    first, second = (
        net.get_parameter(f"stages.0.types.mbconv.{block}.project_norm.weight") for block in (0, 1)
    )
    assert torch.equal(first, source.get_parameter("stages.0.types.mbconv.0.project_norm.weight"))
    assert (first != 0).all()
    assert (second == 0).all()


def test_only_random_weights_start_so(make_config: RecipeMaker, tmp_path: Path) -> None:
    run = train_supernet(make_config(steps=1), tmp_path / "run")
    arch = ArchManager(run.config().load_space()).largest(head="heatmap")
    recipe = load_finetune_config(run.path, ["steps=1", "init.zero_residual=true"])
    with pytest.raises(
        UserError, match=r"init\.zero_residual: what is inherited has no such start; .*`scratch`"
    ):
        finetune_subnet(run.path, arch, recipe=recipe)
    finetune_subnet(run.path, arch, recipe=recipe, scratch=True)


def test_blocks_that_add_nothing_are_told() -> None:
    with pytest.raises(UserError, match=r"init\.zero_residual: no block of space 'rtmpose' adds its input"):
        start_from(PoseNet(SearchSpace.load("rtmpose"), "coco17"), InitConfig(zero_residual=True))
