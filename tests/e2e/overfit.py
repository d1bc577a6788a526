"""Networks that overfit eight photographs: targets, losses, decode, grouping and evaluation together."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nas.data import Annotations, KeypointDataset, SampleRequest, load_annotations
from nas.evaluate import validate
from nas.evaluate.torch_model import TorchModel
from nas.models import PoseNet, calibrate, to_input, transfer
from nas.space import Arch, Block, Head, Neck, Skeleton, Stage, Stem
from nas.space.parts import part
from nas.space.specs import HeadSpec

PHOTOGRAPHS = 8

_NO_NECK = Neck()

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Overfit:
    """One network and how long it is trained on the same eight photographs.

    Args:
        arch: what is trained.
        steps: of Adam, on all photographs at once.
        rate: the highest learning rate.
    """

    arch: Arch
    steps: int
    rate: float = 2e-3


@dataclass(frozen=True)
class Overfitted:
    """What came out: average precision on the photographs, and the seconds of training."""

    average_precision: float
    seconds: float


def body(resolution: tuple[int, int], head: Head, neck: Neck = _NO_NECK) -> Arch:
    """A small network of LitePose's kind, total stride 16, for heads of person crops."""
    return Arch(
        resolution=resolution,
        stem=Stem(16, "relu"),
        stages=tuple(
            Stage("mbconv", "relu", stride, width, (Block(5, 4),) * 2)
            for stride, width in ((2, 24), (2, 32), (2, 64), (1, 96))
        ),
        neck=neck,
        head=head,
    )


def run(case: Overfit, shared_data: Path) -> Overfitted:
    """Train one network on its photographs, transfer it and score it with pycocotools."""
    torch.manual_seed(0)
    arch, task = case.arch, part(HeadSpec, case.arch.head.type).task
    people = first_groups(shared_data / "coco_mini") if task == "image" else first_people(shared_data / "lsp")
    dataset = KeypointDataset([people], task=task)
    requests = [
        SampleRequest(index, (), arch.resolution, arch.head, strides=arch.level_strides, augment=False)
        for index in range(len(dataset))
    ]
    batch = dataset.batch(requests)
    images = to_input(batch.images)
    net = PoseNet(arch, people.skeleton).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters())
    start = time.perf_counter()
    for step in range(case.steps):
        optimizer.param_groups[0]["lr"] = case.rate * share(step, case.steps)
        terms = net.head().loss(net(images), batch.targets)
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        if step % 50 == 49:
            _log.info("step %d: %s", step + 1, {name: f"{term.item():.2g}" for name, term in terms.items()})
    seconds = time.perf_counter() - start
    result = validate(
        TorchModel(transfer(net, arch, calibrate(net, arch, images))), people, backend="pycocotools"
    )
    _log.info("%s", result.to_json())
    assert result.people == sum(people.people.labelled)
    return Overfitted(result["AP"], seconds)


def share(step: int, steps: int) -> float:
    """Of the highest rate: warm-up, flat for half of the steps, cosine to zero."""
    warm = min(1.0, (step + 1) / 20)
    progress = max(0.0, (step - steps / 2) / (steps / 2))
    return warm * (1 + math.cos(math.pi * progress)) / 2


def first_groups(folder: Path) -> Annotations:
    """The first photographs, by id, that show three or more labelled people."""
    annotations = load_annotations(
        folder / "annotations/coco17_train.json", folder / "images", Skeleton.load("coco17")
    )
    people = np.bincount(
        annotations.people.image[annotations.people.labelled], minlength=len(annotations.images)
    )
    return _first(annotations, np.flatnonzero(people >= 3))


def first_people(folder: Path) -> Annotations:
    """The first photographs, by id, of one labelled person each."""
    annotations = load_annotations(
        folder / "annotations/crowdpose14_train.json", folder / "images", Skeleton.load("crowdpose14")
    )
    return _first(annotations, np.arange(len(annotations.images)))


def _first(annotations: Annotations, positions: np.ndarray) -> Annotations:
    ids = sorted(annotations.images[position].id for position in positions)
    return annotations.select(ids[:PHOTOGRAPHS])
