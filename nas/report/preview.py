"""Augmented training samples with their labels drawn in: what a recipe makes of its data."""

import cv2
import numpy as np

from nas.arrays import Pixels
from nas.codecs import People, Poses
from nas.data import SampleRequest
from nas.report.contact_sheet import contact_sheet
from nas.runs import SupernetConfig
from nas.runtime import draw_poses
from nas.space import Skeleton

SIDE = 256
"""Shorter side of a sample on the sheet at least, in px."""

UNCOUNTED = 0.35
"""Brightness of what the loss leaves out."""


def preview(config: SupernetConfig, *, count: int, columns: int, seed: int, late: bool = False) -> Pixels:
    """A sheet [H, W, 3] (RGB) of augmented samples in the space's largest input, with keypoints drawn in.

    Regions in which the loss does not count are dark.

    Args:
        config: the recipe.
        count: samples.
        columns: samples per row.
        seed: changes which samples, and how they vary.
        late: as in the last part of training.

    Raises:
        UserError: data or space cannot be loaded.
    """
    space, skeleton = config.load_space(), Skeleton.load(config.skeleton)
    resolution = max(space.resolutions, key=lambda size: size[0] * size[1])
    data = config.data.model_copy(update={"cache_mib": 0})
    dataset = data.training_set(data.load_train(skeleton), task=space.task, largest=resolution)
    indices = dataset.order.indices(0, count, seed=seed).tolist()
    requests = [
        SampleRequest(index, (seed, 0, position), resolution, late=late)
        for position, index in enumerate(indices)
    ]
    factor = -(-SIDE // min(resolution))
    views = [_view(*dataset.labelled(request), skeleton, factor) for request in requests]
    return contact_sheet(views, columns=columns, cell=(resolution[0] * factor, resolution[1] * factor))


def _view(image: Pixels, people: People, skeleton: Skeleton, factor: int) -> Pixels:
    """A sample, so many times enlarged, with its labels."""
    if people.mask is not None:
        image = np.where(people.mask[..., None], image, image * UNCOUNTED).astype(np.uint8)
    enlarged = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    keypoints = np.array(people.keypoints, np.float64)
    keypoints[..., :2] = (keypoints[..., :2] + 0.5) * factor - 0.5
    poses = Poses(keypoints, np.ones(len(keypoints)))
    return draw_poses(np.asarray(enlarged, np.uint8), poses, skeleton, min_keypoint=1.0)
