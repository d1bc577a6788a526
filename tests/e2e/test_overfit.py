"""A LitePose-type network overfits photographs of groups: targets, tags, grouping and evaluation together."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.codecs.base import finest_stride
from nas.data import Annotations, KeypointDataset, SampleRequest, load_annotations
from nas.evaluate import validate
from nas.evaluate.torch_model import TorchModel
from nas.models import PoseNet, calibrate, to_input, transfer
from nas.space import Arch, Block, Head, Neck, Skeleton, Stage, Stem

STEPS = 600
PEAK_RATE = 4e-3

ARCH = Arch(
    resolution=(384, 384),
    stem=Stem(16, "relu6"),
    stages=tuple(
        Stage("mbconv", "relu6", stride, width, (Block(5, 4),) * depth)
        for stride, width, depth in zip((2, 2, 2, 1), (16, 32, 48, 80), (2, 3, 3, 3), strict=True)
    ),
    neck=Neck("fusion_deconv", "deconv4x4", (32, 32, 32)),
    head=Head("associative_embedding"),
)

_log = logging.getLogger(__name__)


def first_groups(folder: Path, count: int) -> Annotations:
    """The first images, by id, that show three or more labelled people."""
    annotations = load_annotations(
        folder / "annotations/coco17_train.json", folder / "images", Skeleton.load("coco17")
    )
    people = np.bincount(
        annotations.people.image[annotations.people.labelled], minlength=len(annotations.images)
    )
    ids = sorted(annotations.images[position].id for position in np.flatnonzero(people >= 3))
    return annotations.select(ids[:count])


def rate(step: int) -> float:
    """Warm-up, flat for half of the steps, cosine to zero."""
    warm = min(1.0, (step + 1) / 20)
    progress = max(0.0, (step - STEPS / 2) / (STEPS / 2))
    return PEAK_RATE * warm * (1 + math.cos(math.pi * progress)) / 2


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The order of sums, and so the outcome, depends on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_litepose_network_overfits_eight_photographs(shared_data: Path) -> None:
    """AP >= 0.90, masks and crowd regions included."""
    torch.manual_seed(0)
    groups = first_groups(shared_data / "coco_mini", 8)
    dataset = KeypointDataset([groups], task="image")
    stride = finest_stride(ARCH)
    batch = dataset.batch(
        [
            SampleRequest(index, (), ARCH.resolution, ARCH.head, stride=stride, augment=False)
            for index in range(8)
        ]
    )
    images = to_input(batch.images)
    net = PoseNet(ARCH, groups.skeleton).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters())
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = rate(step)
        terms = net.head().loss(net(images), batch.targets)
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        if step % 50 == 49:
            _log.info("step %d: %s", step + 1, {name: f"{term.item():.2g}" for name, term in terms.items()})

    plain = transfer(net, ARCH, calibrate(net, ARCH, images))
    result = validate(TorchModel(plain), groups, backend="pycocotools")
    _log.info("%s", result.to_json())
    assert result.people == sum(groups.people.labelled)
    assert result["AP"] >= 0.90
