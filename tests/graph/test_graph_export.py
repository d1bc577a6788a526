"""Checked, atomic export."""

import numpy as np
import onnx
import pytest
import torch

from nas.graph import ParityError, export_onnx, to_onnx
from nas.graph.export import agreement
from nas.layers import StatisticsMissingError
from nas.models import PoseNet, calibrate
from nas.space import ArchManager, SearchSpace

DEMO = SearchSpace.load("demo")


@pytest.mark.parametrize("head", ["simcc", "heatmap"])
def test_exported_file_is_the_model(head, tmp_path, calibrated_net, run_onnx) -> None:
    arch = ArchManager(DEMO).smallest(head=head)
    net = calibrated_net(arch)
    path = tmp_path / "new folder" / "net.onnx"
    image = torch.randn(3, *arch.resolution)

    model = export_onnx(net, path, images=[image])

    assert [file.name for file in path.parent.iterdir()] == ["net.onnx"]
    loaded = onnx.load(path)
    assert loaded == model
    outputs = run_onnx(loaded, image.unsqueeze(0))
    with torch.no_grad():
        expected = net.decode(net(image.unsqueeze(0)))
    for name, value in expected.items():
        assert agreement(value.numpy(), outputs[name]) > 0.9


def test_one_arch_of_a_supernet_is_exported_with_its_statistics(tmp_path) -> None:
    arch = ArchManager(DEMO).smallest()
    net = PoseNet(DEMO, "coco17").train()
    stats = calibrate(net, arch, [torch.randn(4, 3, *arch.resolution)])
    export_onnx(net, tmp_path / "net.onnx", arch=arch, stats=stats)
    assert net.training
    with pytest.raises(StatisticsMissingError):
        export_onnx(net, tmp_path / "other.onnx", arch=arch)


def test_a_model_that_computes_something_else_is_not_written(tmp_path, calibrated_net, monkeypatch) -> None:
    net = calibrated_net(ArchManager(DEMO).smallest())
    path = tmp_path / "net.onnx"
    path.write_bytes(b"the last good one")
    other = calibrated_net(ArchManager(DEMO).smallest(), seed=1)
    monkeypatch.setattr("nas.graph.form.to_onnx", lambda graph, net, **given: to_onnx(graph, other, **given))
    with pytest.raises(ParityError, match="off by"):
        export_onnx(net, path)
    assert path.read_bytes() == b"the last good one"
    assert len(list(tmp_path.iterdir())) == 1


def candidates(scores: list[float]) -> np.ndarray:
    rows = [[10.0 * i, 5.0 * i, score, 0.1 * i] for i, score in enumerate(scores, 1)]
    return np.array([[rows]], np.float32)


def test_agreement_is_the_share_of_equal_rows() -> None:
    reference = candidates([0.9, 0.7, 0.5, 0.3])
    assert agreement(reference, reference.copy()) == 1
    moved = reference.copy()
    moved[0, 0, 1, 0] += 0.5
    assert agreement(reference, moved) == 0.75


def test_agreement_leaves_the_order_of_equal_scores_open() -> None:
    reference = candidates([0.9, 0.7, 0.0, 0.0])
    swapped = reference[:, :, [0, 1, 3, 2]]
    assert agreement(reference, swapped) == 1
    assert agreement(reference, reference[:, :, [1, 0, 2, 3]]) == 0


def test_boxes_hold_no_scores() -> None:
    boxes = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(3)).numpy()
    moved = boxes.copy()
    moved[0, 1, 2] += 0.1
    assert agreement(boxes, moved, scored=False, scores=np.array([[0.9, 0.7, 0.4, 0.3]])) == 0.75
    assert agreement(boxes, moved, scored=False, scores=np.array([[0.9, 0.7, 0.7, 0.3]])) == 1


def test_agreement_needs_equal_scores() -> None:
    reference = candidates([0.9, 0.7, 0.5, 0.3])
    other = reference.copy()
    other[0, 0, 3, 2] = 0.31
    assert agreement(reference, other) == 0


def test_agreement_leaves_the_order_of_poses_of_equal_scores_open() -> None:
    rng = np.random.default_rng(0)
    poses = rng.uniform(1, 99, (1, 4, 17, 3)).astype(np.float32)
    poses[..., 2] = rng.uniform(0, 1, (1, 4, 17))
    scores = np.array([[0.9, 0.7, 0.30001, 0.3]], np.float32)
    swapped = poses[:, [0, 1, 3, 2]]
    assert agreement(poses, swapped, scores=scores) == 1
    assert agreement(poses, swapped, scores=np.array([[0.9, 0.7, 0.4, 0.3]])) == 0
    assert agreement(poses, poses[:, [1, 0, 2, 3]], scores=scores) == 0
    moved = poses.copy()
    moved[0, 1, :10, 0] += 0.5
    assert agreement(poses, moved, scores=scores) == pytest.approx(24 / 34)
