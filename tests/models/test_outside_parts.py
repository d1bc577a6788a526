"""Parts of another package: those that the documentation shows, installed beside this one."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding-a-part.md"
FILES = [f"cells/{name}.py" for name in ("__init__", "block", "neck", "codec", "head")]

SPACE = """
name: mixed
task: crop
resolution: [[64, 48]]
stem: {width: 8, activation: relu}
stages:
  - type: [mbconv, depthwise]
    activation: relu
    stride: 2
    width: 16
    depth: [1, 2]
    kernel: [3, 5]
    expansion: 2
    options: {norm: [false, true]}
  - {type: mbconv, activation: relu, stride: 2, width: 24, depth: 1, kernel: 3, expansion: [2, 3]}
necks:
  mean: {widths: [[16, 24]], options: {pool: [false, true]}}
  fusion_deconv: {upsampler: nearest_dw, widths: [[16]]}
heads:
  cells: {neck: [mean, fusion_deconv]}
  simcc: {neck: mean}
"""

SCRIPT = """
import sys
from pathlib import Path

import numpy as np
import torch

from nas.codecs import People
from nas.codecs.build import codec_of
from nas.evaluate.torch_model import TorchModel
from nas.graph import export_onnx
from nas.models import PoseNet, calibrate, transfer
from nas.runtime import OnnxModel
from nas.space import Arch, ArchManager, SearchSpace

assert "cells" not in sys.modules
space = SearchSpace.load(sys.argv[1])
torch.manual_seed(0)
net = PoseNet(space, "coco17")
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (4, 64, 48, 3), np.uint8)
points = np.concatenate([rng.uniform(0, [47, 63], (17, 2)), np.full((17, 1), 2.0)], axis=1)
for neck in ("mean", "fusion_deconv"):
    arch = ArchManager(space).largest(head="cells", neck=neck)
    assert arch.stages[0].type == "depthwise" and arch.stages[0].option("norm")
    assert Arch.from_json(arch.to_json()) == arch
    codec = codec_of(arch, net.skeleton)
    people = People(points[None], np.array([900.0]), np.zeros((1, 4)))
    targets = codec.encode(people)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    outputs = net(x, arch)
    batch = {name: torch.from_numpy(np.stack([value] * 4)) for name, value in targets.items()}
    (loss,) = net.head(arch).loss(outputs, batch).values()
    cells = outputs["probabilities"][0, 0].numel()
    assert abs(loss.item() - np.log(cells)) < 0.1, "nothing is known at first"
    loss.backward()

    sure = np.zeros((17, cells), np.float32)
    sure[np.arange(17), targets["cell"]] = 1
    height, width = outputs["probabilities"].shape[2:]
    (pose,) = codec.group(codec.decode_maps({"probabilities": sure.reshape(17, height, width)})).keypoints
    assert np.abs(pose[:, :2] - points[:, :2]).max() <= codec.stride / 2
    assert (pose[:, 2] > 0.999).all(), "what is sure is believed"
    flat = torch.full_like(outputs["probabilities"], 1 / cells)
    decoded = net.decode({"probabilities": flat}, arch)
    (pose,) = codec.group({name: part[0].numpy() for name, part in decoded.items()}).keypoints
    assert (pose[:, 2] == np.float32(0.001)).all(), "what is everywhere alike is not"

    alone = transfer(net, arch, calibrate(net, arch, [x]))
    export_onnx(alone, Path(sys.argv[2]))
    found = zip(TorchModel(alone).candidates(images), OnnxModel(Path(sys.argv[2])).candidates(images))
    for in_torch, exported in found:
        np.testing.assert_allclose(exported["keypoints"], in_torch["keypoints"], atol=1e-4)
assert "cells" in sys.modules
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files as an installed package."""
    site = tmp_path_factory.mktemp("site")
    page = PAGE.read_text()
    blocks = re.findall(r'```python title="(\S+)"\n(.*?)```', page, re.DOTALL)
    assert [name for name, _ in blocks] == FILES
    for name, text in blocks:
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text(text)
    (toml,) = re.findall(
        r"```toml\n\[project\.entry-points\.\"(\S+)\"\]\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    information = site / "cells-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: cells\nVersion: 1.0\n")
    group, entry = toml
    (information / "entry_points.txt").write_text(f"[{group}]\n{entry.replace(chr(34), '')}")
    (site / "space.yaml").write_text(SPACE)
    return site


def beside(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": f"{ROOT}:{site}", "PATH": "", "OMP_NUM_THREADS": "1", "HOME": str(site)}
    return subprocess.run(
        [sys.executable, *command], cwd=site, env=environment, capture_output=True, text=True, check=False
    )


def test_the_commands_know_installed_parts(site: Path) -> None:
    done = beside(site, "-m", "nas", "space", "show", "space.yaml", "--skeleton", "coco17", "--json")
    assert done.returncode == 0, done.stderr
    shown = json.dumps(json.loads(done.stdout))
    assert all(name in shown for name in ("cells", "depthwise", "mean"))


def test_they_learn_transfer_and_are_exported_like_any_other(site: Path) -> None:
    (site / "script.py").write_text(SCRIPT)
    done = beside(site, "script.py", "space.yaml", str(site / "net.onnx"))
    assert done.returncode == 0, done.stderr


def test_a_codec_without_anchors_is_refused_in_one_line(site: Path) -> None:
    codec = site / "cells" / "codec.py"
    text = codec.read_text()
    codec.write_text(text.replace("def anchors", "def other"))
    (site / "script.py").write_text(SCRIPT)
    try:
        done = beside(site, "script.py", "space.yaml", str(site / "net.onnx"))
    finally:
        codec.write_text(text)
    assert done.stderr.strip().splitlines()[-1] == (
        "nas.errors.UserError: cells.codec.CellsCodec states no `anchors`, without which its scores are no "
        "confidences: see docs/adding-a-part.md"
    )


def test_an_installed_part_that_fails_is_named(site: Path) -> None:
    entry = site / "cells" / "__init__.py"
    text = entry.read_text()
    entry.write_text("import nothing_of_that_name\n")
    try:
        done = beside(site, "-m", "nas", "space", "show", "space.yaml")
    finally:
        entry.write_text(text)
    assert done.returncode == 2
    assert "the installed part 'cells' (cells) fails: ModuleNotFoundError" in done.stderr
    assert "Traceback" not in done.stderr
