"""torch.compile for fine-tuning: the same network, and one clear line where it cannot be had."""

from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from tiny_training import RecipeMaker

from nas.errors import UserError
from nas.models import PoseNet, load_weights
from nas.runs import load_finetune_config
from nas.space import ArchManager, SearchSpace
from nas.train import finetune_subnet, train_supernet
from nas.train.compilation import compile_network


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(
    make_config: RecipeMaker, tiny_space: SearchSpace, tmp_path: Path
) -> None:
    run = train_supernet(make_config(steps=2), tmp_path / "run")
    arch = ArchManager(tiny_space).largest(head="heatmap", resolution=(32, 32))
    recipe = ["steps=4", "optimizer.lr=1e-3"]
    plain = finetune_subnet(run.path, arch, recipe=load_finetune_config(run.path, recipe), name="plain")
    compiled = finetune_subnet(
        run.path, arch, recipe=load_finetune_config(run.path, [*recipe, "compile=true"]), name="compiled"
    )
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected, found = (load_weights(path)(images)["heatmaps"] for path in (plain, compiled))
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-4)


def test_where_compiling_fails_one_line_says_so(
    tiny_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no working C++ compiler\nand a long story")

    net = PoseNet(ArchManager(tiny_space).smallest(), "coco17")
    monkeypatch.setattr(PoseNet, "compile", lambda self: None)
    monkeypatch.setattr(PoseNet, "forward", fail)
    with pytest.raises(UserError, match=r"^compile: .*no working C\+\+ compiler\); leave compile out$"):
        compile_network(net, batch=2, fabric=Fabric(accelerator="cpu", devices=1))
