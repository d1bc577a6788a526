"""Fine-tuning that learns from a given network: what it takes, what it refuses, what it learns."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_train_resume import Killed, before_step, die
from tiny_training import SPACE, RecipeMaker

from nas.cli.main import run as nas
from nas.errors import UserError
from nas.models import PoseNet, calibrate, load_weights, read_weights, save_weights, transfer
from nas.runs import RunFolder, load_finetune_config, read_metrics
from nas.space import Arch, ArchManager, SearchSpace
from nas.train import finetune_subnet, train_supernet
from nas.train.teacher import given_teacher

ANY = ArchManager(
    SearchSpace.from_json(
        {
            "version": 1,
            **SPACE,
            "resolution": [[32, 32], [48, 32], [64, 64]],
            "heads": {"heatmap": {"neck": "fusion_deconv"}, "regression": {"neck": "none"}},
        }
    )
)


@pytest.fixture
def run(make_config: RecipeMaker, tmp_path: Path) -> RunFolder:
    return train_supernet(make_config(steps=1), tmp_path / "run")


@pytest.fixture
def student(tiny_space: SearchSpace) -> Arch:
    return ArchManager(tiny_space).smallest(head="heatmap", resolution=(32, 32))


Saved = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Writes a calibrated network of random weights."""

    def save(arch: Arch, *, seed: int = 1, skeleton: str = "coco17") -> Path:
        torch.manual_seed(seed)
        net = PoseNet(arch, skeleton)
        for parameter in net.heads.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        stats = calibrate(net, arch, [torch.randn(4, 3, *arch.resolution)])
        path = tmp_path / f"teacher{seed}.safetensors"
        save_weights(path, transfer(net, arch, stats))
        return path

    return save


@pytest.mark.slow
def test_without_labels_the_student_becomes_its_teacher(
    run: RunFolder, student: Arch, tiny_space: SearchSpace, saved: Saved
) -> None:
    teacher = saved(ArchManager(tiny_space).largest(head="heatmap", resolution=(32, 32)))
    recipe = ["steps=150", f"teacher={teacher}", "distillation=1", "optimizer.lr=1e-2", "schedule.flat=1"]
    path = finetune_subnet(run.path, student, recipe=load_finetune_config(run.path, recipe))
    lines = read_metrics(run.work_folder(student.id) / "metrics.jsonl")
    first, last = (line["heatmap/teacher"] for line in (lines[0], lines[-1]))
    assert last < first / 2
    assert lines[-1]["heatmap/labels"] > last, "the teacher's maps are not the labels'"
    assert load_weights(path).arch == student


def test_the_same_run_learns_another_thing_from_another_teacher(
    run: RunFolder, student: Arch, saved: Saved
) -> None:
    def tuned(seed: int) -> dict[str, torch.Tensor]:
        recipe = load_finetune_config(run.path, ["steps=2", f"teacher={saved(student, seed=seed)}"])
        assert recipe.distillation == 0.5, "half, where nothing else is said"
        return read_weights(finetune_subnet(run.path, student, recipe=recipe, name=f"s{seed}"))[1]

    first, second = tuned(1), tuned(2)
    assert any(not torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_images_are_resized_for_a_teacher_of_another_resolution(saved: Saved) -> None:
    arch = ANY.smallest(head="regression", resolution=(32, 32))
    path = saved(ANY.largest(head="regression", resolution=(64, 64)))
    teacher = given_teacher(path, PoseNet(arch, "coco17"))
    images = torch.randn(2, 3, 32, 32)
    enlarged = F.interpolate(images, (64, 64), mode="bilinear")
    with torch.no_grad():
        expected = load_weights(path)(enlarged)["xy"]
        assert torch.allclose(teacher(images)["xy"], expected, atol=1e-4)
        assert not teacher(images)["xy"].requires_grad


def test_coarser_maps_of_a_larger_input_can_be_compared(saved: Saved) -> None:
    coarse = ANY.largest(head="heatmap", resolution=(64, 64))
    coarse = replace(coarse, neck=replace(coarse.neck, widths=coarse.neck.widths[:1]))
    fine = ANY.smallest(head="heatmap", resolution=(32, 32))
    teacher = given_teacher(saved(coarse), PoseNet(fine, "coco17"))
    assert teacher(torch.zeros(2, 3, 32, 32))["heatmaps"].shape == (2, 17, 8, 8)


def test_the_teacher_is_of_the_precision_of_training(saved: Saved, student: Arch) -> None:
    teacher = given_teacher(saved(student), PoseNet(student, "coco17").double())
    assert teacher(torch.zeros(2, 3, 32, 32, dtype=torch.float64))["heatmaps"].dtype == torch.float64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": "regression"}, "needs the student's head: regression there, heatmap here"),
        ({"skeleton": "crowdpose14"}, "needs the student's skeleton: crowdpose14 there, coco17 here"),
        ({"resolution": (48, 32)}, "an input of the student's proportions: 48x32 there, 32x32 here"),
        (
            {"resolution": (64, 64)},
            "cannot be compared .*: heatmaps is 17x16x16 there, 17x8x8 here; choose",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    run: RunFolder, student: Arch, saved: Saved, change: dict[str, Any], message: str
) -> None:
    place = {"head": "heatmap", "resolution": (32, 32)} | change
    path = saved(
        ANY.largest(head=place["head"], resolution=place["resolution"]),
        skeleton=change.get("skeleton", "coco17"),
    )
    recipe = load_finetune_config(run.path, ["steps=1", f"teacher={path}"])
    with pytest.raises(UserError, match=rf"teacher1\.safetensors: .*{message}") as caught:
        finetune_subnet(run.path, student, recipe=recipe)
    assert "\n" not in str(caught.value)


def test_supernets_and_networks_without_statistics_do_not_teach(
    run: RunFolder, student: Arch, tmp_path: Path
) -> None:
    save_weights(tmp_path / "bare.safetensors", PoseNet(student, "coco17"))
    for path, message in (
        (run.weights_file, "not a supernet; `nas transfer` takes one out"),
        (tmp_path / "bare.safetensors", "needs batch-norm statistics"),
        (tmp_path / "gone.safetensors", "no such weights file"),
    ):
        with pytest.raises(UserError, match=message):
            given_teacher(path, PoseNet(student, "coco17"))


def test_a_head_with_a_score_needs_a_teacher_with_one(saved: Saved) -> None:
    arch = ANY.smallest(head="regression", resolution=(32, 32))
    scored = replace(
        arch,
        head=replace(arch.head, options=tuple(sorted({**dict(arch.head.options), "score": "bce"}.items()))),
    )
    with pytest.raises(UserError, match=r"it has no score_logits, but xy, size"):
        given_teacher(saved(arch), PoseNet(scored, "coco17"))


def test_killed_and_resumed_equals_undisturbed(run: RunFolder, student: Arch, saved: Saved) -> None:
    recipe = load_finetune_config(run.path, ["steps=6", f"teacher={saved(student)}"])
    straight = finetune_subnet(run.path, student, recipe=recipe, name="straight")
    with before_step(4, die), pytest.raises(Killed):
        finetune_subnet(run.path, student, recipe=recipe, name="killed")
    resumed = finetune_subnet(run.path, student, recipe=recipe, name="killed")
    first, second = (read_weights(path)[1] for path in (straight, resumed))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_a_teacher_that_changed_meanwhile_is_refused(run: RunFolder, student: Arch, saved: Saved) -> None:
    path = saved(student)
    recipe = load_finetune_config(run.path, ["steps=6", f"teacher={path}"])
    with before_step(4, die), pytest.raises(Killed):
        finetune_subnet(run.path, student, recipe=recipe)
    path.write_bytes(saved(student, seed=2).read_bytes())
    with pytest.raises(UserError, match="started with other weights of the teacher"):
        finetune_subnet(run.path, student, recipe=recipe)


def test_the_command_takes_it(run: RunFolder, student: Arch, saved: Saved, tmp_path: Path) -> None:
    student.save(tmp_path / "arch.json")
    command = ["finetune", str(run.path), str(tmp_path / "arch.json"), "--name", "s", "--set", "steps=1"]
    assert nas([*command, "--teacher", str(saved(student)), "--set", "distillation=0.25"]) == 0
    recipe = read_weights(run.subnets_folder / "s.safetensors")[0]["notes"]["recipe"]
    assert recipe["distillation"] == 0.25
    assert recipe["teacher"].endswith("teacher1.safetensors")


def test_a_folder_of_an_earlier_version_is_gone_on_in(run: RunFolder, student: Arch) -> None:
    recipe = load_finetune_config(run.path, ["steps=3"])
    with before_step(1, die), pytest.raises(Killed):
        finetune_subnet(run.path, student, recipe=recipe)
    record = run.work_folder(student.id) / "finetune.json"
    values = json.loads(record.read_text())
    for later in ("init", "teacher"):
        del values["recipe"][later]
    record.write_text(json.dumps(values))
    assert finetune_subnet(run.path, student, recipe=recipe).is_file()
