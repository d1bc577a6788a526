"""People and targets for the tests of the dense head."""

import numpy as np
import torch
from torch import Tensor

from nas.codecs.dense import DenseCodec
from nas.codecs.types import People
from nas.space.skeleton import Skeleton

SKELETON = Skeleton.load("crowdpose14")
JOINTS = len(SKELETON.keypoints)
DECODES = ("nms", "one_to_one")
BRANCH = {"nms": "many", "one_to_one": "one"}
"""By decode, the branch that is run."""

NOBODY = People(np.zeros((0, JOINTS, 3)), np.zeros(0), np.zeros((0, 4)))


def people(rng: np.random.Generator, count: int) -> People:
    low = rng.uniform(0, [90, 60], (count, 2))
    boxes = np.concatenate([low, low + rng.uniform([15, 20], [60, 60], (count, 2))], axis=1)
    xy = rng.uniform(boxes[:, None, :2] - 3, boxes[:, None, 2:] + 3, (count, JOINTS, 2))
    visible = rng.integers(0, 3, (count, JOINTS, 1))
    visible[:, 0] = 2
    xy[:, 0] = (low + 2).clip(0, [127, 95])
    return People(np.concatenate([xy, visible], axis=2), (boxes[:, 2:] - boxes[:, :2]).prod(1), boxes)


def targets_of(codec: DenseCodec, *groups: People) -> dict[str, Tensor]:
    encoded = [codec.encode(group) for group in groups]
    return {name: torch.from_numpy(np.stack([part[name] for part in encoded])) for name in encoded[0]}
