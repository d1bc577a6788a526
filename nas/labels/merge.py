"""Given labels of a person merged with a network's pose, and which pose is whose."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.arrays import Flags, Floats
from nas.codecs.types import FloatArray
from nas.evaluate.similarity import oks
from nas.labels.settings import MergeSettings
from nas.labels.views import pairs

VISIBLE = 2
"""What a network's joint becomes: it does not tell whether it sees a joint or guesses it."""


@dataclass(frozen=True, eq=False)
class MergedJoints:
    """What became of a person's joints.

    Args:
        keypoints: [K, 3] x, y, v; zeros where unlabelled.
        confirmed, dropped, filled: [K] of the joints, those given that the network sees at the same place,
            those it contradicts, and those that were missing.
        taken: whether the pose was taken for this person's; if not, the labels are those given.
    """

    keypoints: Floats
    confirmed: Flags
    dropped: Flags
    filled: Flags
    taken: bool = True


def labels_of(pose: FloatArray, size: tuple[int, int], *, least: float) -> Floats:
    """A pose [K, 3] (x, y, score) as labels [K, 3] (x, y, v), zeros where unlabelled.

    Args:
        pose: in px of an image of size (h, w).
        size: of the image; joints outside it are unlabelled.
        least: score of a labelled joint.
    """
    inside = (pose[:, :2] >= -0.5).all(1) & (pose[:, :2] <= np.array(size[::-1]) - 0.5).all(1)
    labelled = inside & (pose[:, 2] >= least) & (pose[:, 2] > 0)
    visible = np.full((len(pose), 1), float(VISIBLE))
    return np.where(labelled[:, None], np.concatenate([pose[:, :2], visible], axis=1), 0.0)


def merge_joints(
    given: FloatArray,
    pose: FloatArray,
    *,
    scale: float,
    size: tuple[int, int],
    least: float,
    settings: MergeSettings,
) -> MergedJoints:
    """The joints of a person, given ones and a network's.

    Missing joints are those of the pose. A given joint is dropped where the pose has it farther away than
    `settings.far` and with a score of `settings.sure` at least; it is not replaced. Where less than
    `settings.same` of the joints that both have agree, nothing changes.

    Args:
        given: [K, 3] x, y (px), v.
        pose: [K, 3] x, y (px), score; 0 of joints that the network does not know.
        scale: px, the person's.
        size: of the image (h, w).
        least: score of a joint that counts as seen.
        settings: see above.
    """
    taught = labels_of(pose, size, least=least)
    labelled, seen = given[:, 2] > 0, (pose[:, 2] >= least) & (pose[:, 2] > 0)
    near = np.linalg.norm(given[:, :2] - pose[:, :2], axis=1) <= settings.far * scale
    both = labelled & seen
    confirmed = both & near
    known = np.where(labelled[:, None], given, 0.0)
    if confirmed.sum() < settings.same * both.sum():
        nothing = np.zeros(len(given), np.bool_)
        return MergedJoints(known, nothing, nothing, nothing, taken=False)
    dropped = labelled & ~near & (pose[:, 2] >= settings.sure) & (pose[:, 2] > 0)
    filled = ~labelled & (taught[:, 2] > 0)
    merged = np.where(filled[:, None], taught, np.where(dropped[:, None], 0.0, known))
    return MergedJoints(merged, confirmed, dropped, filled)


def match_poses(
    poses: FloatArray,
    boxes: FloatArray,
    people: FloatArray,
    people_boxes: FloatArray,
    *,
    areas: FloatArray,
    sigmas: Sequence[float],
) -> dict[int, int]:
    """Which given person each pose is of: the best assignment by similarity of joints, or of boxes.

    Args:
        poses: [D, K, 3] x, y (px), score.
        boxes: [D, 4] x, y, width, height of the poses.
        people: [G, K, 3] x, y (px), v.
        people_boxes: [G, 4] x, y, width, height.
        areas: [G] px^2.
        sigmas: [K].

    Returns:
        rows of people by those of poses; poses that are nobody's are left out.
    """
    alike = oks(poses, people, areas=areas, sigmas=sigmas)
    return dict(pairs(np.maximum(alike, overlaps(boxes, people_boxes))))


def overlaps(one: FloatArray, other: FloatArray) -> Floats:
    """Intersection over union [D, G] of boxes [D, 4] and [G, 4] (x, y, width, height)."""
    shared = _shared(one, other)
    union = one[:, None, 2:].prod(-1) + other[None, :, 2:].prod(-1) - shared
    return np.asarray(shared / np.maximum(union, np.spacing(1.0)), np.float64)


def covered(boxes: FloatArray, regions: FloatArray) -> Floats:
    """The largest share [D] of boxes [D, 4] (x, y, width, height) that lies in one of the regions [G, 4]."""
    if not len(regions):
        return np.zeros(len(boxes))
    area = np.maximum(boxes[:, 2:].prod(1), np.spacing(1.0))
    return np.asarray(_shared(boxes, regions).max(1) / area, np.float64)


def _shared(one: FloatArray, other: FloatArray) -> Floats:
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum((one[:, :2] + one[:, 2:])[:, None], (other[:, :2] + other[:, 2:])[None])
    return np.asarray(np.maximum(high - low, 0.0).prod(-1), np.float64)
