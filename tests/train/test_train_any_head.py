"""One supernet of several whole-image heads learns from photographs, whichever head a step trains."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plans import plan_of
from torch import Tensor

from nas.data import KeypointDataset, load_annotations
from nas.graph import Tracer
from nas.models import PoseNet, calibrate, to_input, transfer
from nas.runs import read_metrics
from nas.runs.config import OptimizerConfig, SupernetConfig
from nas.space import Arch, ArchManager, SearchSpace, Skeleton
from nas.train import train_supernet, transfer_subnet
from nas.train.optimizer import build_optimizer
from nas.train.rules import Lesson, SandwichRule

SIDE = (256, 256)
HEADS = ("associative_embedding", "center", "dense", "part_affinity")


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.load("any-head-crowd").narrow(resolutions=[SIDE])


@pytest.fixture(scope="module")
def photographs(shared_data: Path) -> KeypointDataset:
    folder = shared_data / "coco_mini"
    annotations = load_annotations(
        folder / "annotations/coco17_train.json", folder / "images", Skeleton.load("coco17")
    )
    people = np.bincount(
        annotations.people.image[annotations.people.labelled], minlength=len(annotations.images)
    )
    chosen = [annotations.images[position].id for position in np.flatnonzero(people >= 3)[:2]]
    return KeypointDataset([annotations.select(chosen)], task="image")


def archs_of(space: SearchSpace, head: str) -> tuple[Arch, ...]:
    """What a step trains: the largest, the smallest and another network of one head and its options."""
    manager = ArchManager(space)
    drawn = manager.sample(np.random.default_rng(7), head=head)
    ends = manager.largest(head=head), manager.smallest(head=head)
    return (*(replace(end, head=drawn.head) for end in ends), drawn)


def test_one_step_over_all_heads_moves_all_of_them_and_lowers_their_losses(
    space: SearchSpace, photographs: KeypointDataset
) -> None:
    assert space.heads == HEADS
    torch.manual_seed(0)
    net = PoseNet(space, "coco17").train()
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    optimizer = build_optimizer(net.named_parameters(), OptimizerConfig(lr=1e-4))
    rule = SandwichRule(weight=0.5, ramp=0)

    def losses() -> dict[str, float]:
        """Gradients of all heads, added up."""
        found: dict[str, float] = {}
        for head in HEADS:
            plan = plan_of(archs_of(space, head))
            batch = photographs.batch(plan.requests(0, 1))
            terms = rule(
                Lesson(
                    net,
                    plan,
                    to_input(batch.images),
                    [batch.targets],
                    autocast=nullcontext,
                    backward=Tensor.backward,
                )
            )
            found |= {name: float(term) for name, term in terms.items()}
        return found

    first = losses()
    assert set(first) == {
        f"{head}/{role}" for head in HEADS for role in ("largest", "smallest", "random", "teacher")
    }
    assert np.isfinite(list(first.values())).all()
    optimizer.step()
    for head in HEADS:
        parts = [parts[head] for parts in net.heads.values() if head in parts]
        names = {id(parameter) for part in parts for parameter in part.parameters()}
        moved = [
            not torch.equal(parameter, before[name])
            for name, parameter in net.named_parameters()
            if id(parameter) in names
        ]
        assert len(moved) == len(names) > 0
        assert any(moved), head
    optimizer.zero_grad()
    second = losses()
    assert all(second[f"{head}/largest"] < first[f"{head}/largest"] for head in HEADS), (first, second)


@pytest.mark.parametrize("head", HEADS)
def test_a_subnet_of_every_head_is_traced_and_transferred_bit_for_bit(
    space: SearchSpace, photographs: KeypointDataset, head: str
) -> None:
    torch.manual_seed(0)
    net, tracer = PoseNet(space, "coco17").eval(), Tracer(space, "coco17")
    rng = np.random.default_rng(3)
    images = to_input(photographs.batch(photographs.requests(SIDE)).images)
    for _ in range(2):
        arch = ArchManager(space).sample(rng, head=head)
        graph, stats = tracer(arch), calibrate(net, arch, images)
        plain = transfer(net, arch, stats)
        assert graph.params == sum(parameter.numel() for parameter in plain.parameters())
        with torch.no_grad():
            expected, found = net(images, arch, stats), plain(images)
            decoded = plain.decode(found)
        assert expected.keys() == found.keys()
        assert all(torch.equal(value, found[name]) for name, value in expected.items())
        shapes = {name: tuple(graph.types[edge].shape)[1:] for name, edge in graph.outputs.items()}
        assert shapes == {name: tuple(value.shape)[1:] for name, value in decoded.items()}


@pytest.mark.slow
def test_a_run_trains_every_head_and_gives_subnets_of_each(shared_data: Path, tmp_path: Path) -> None:
    manager = ArchManager(SearchSpace.load("any-head-crowd"))
    folder = shared_data / "coco_mini"
    recipe = {
        "name": "any",
        "space": "any-head-crowd",
        "skeleton": "coco17",
        "data": {
            "root": str(folder),
            "train": {"annotations": "annotations/coco17_train.json", "images": "images"},
            "augment": "weak",
            "workers": 0,
            "cache_mib": 0,
        },
        "steps": 24,
        "batch": 2,
        "resolutions": [[256, 256]],
        "optimizer": {"lr": 1e-3},
        "schedule": {"warmup": 2},
        "ema": {"decay": 0.9},
        "sandwich": {"random": 1},
        "sampling": {"pool": 60, "bins": 4},
        "distillation": {"weight": 0.5, "ramp": 4},
        "accelerator": "cpu",
        "threads": 1,
        "log_every": 1,
        "calibration": {"images": 4, "batch": 2},
        "finetune": {"steps": 2, "batch": 2},
    }
    run = train_supernet(SupernetConfig.read(recipe, "recipe"), tmp_path / "run")
    lines = read_metrics(run.metrics_file)
    assert all(line["skipped"] == 0 for line in lines)
    names = {name for line in lines for name in line}
    assert {name.split("/")[0] for name in names if "/largest" in name} == set(HEADS)
    assert {name.split("/")[1] for name in names if name.startswith("gradient_norm/")} == set(HEADS)
    for head in HEADS:
        arch = manager.smallest(head=head, resolution=SIDE)
        assert transfer_subnet(run.path, arch).is_file()
