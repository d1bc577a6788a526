"""How rare people's poses are among all of a data set, so that rare ones can be shown more often."""

from collections.abc import Sequence

import numpy as np

from nas.arrays import Flags, Floats
from nas.data.annotations import Annotations
from nas.evenly import evenly
from nas.space.skeleton import Skeleton

REFERENCES = 2048
"""Poses, taken evenly from all, that every pose is compared with, and their mirror images."""

COMMON_JOINTS = 4
"""Two poses that have fewer labelled joints in common are not compared."""

NEAREST = 0.02
"""The kernel is as wide as the typical distance within which this share of the references lies."""

MOST = 10.0
"""A pose is shown at most this many times more, or less, often than one of median density."""

TORSO = 0.3
"""Length of the torso relative to the box's longer side where nobody shows it."""

_ROWS = 512


def rare_pose_shares(sources: Sequence[Annotations], exponent: float) -> list[Floats]:
    """How often each person is drawn so that rare poses come more often: by density to the power -exponent.

    Args:
        sources: sets of one skeleton; density is that among all of them.
        exponent: 0 leaves all alike, 1 shows every kind of pose as often as any other.

    Returns:
        For each source [people]: relative frequencies; those of people without labels mean nothing.
    """
    labelled = [source.people.labelled for source in sources]
    keypoints = [source.people.keypoints[rows] for source, rows in zip(sources, labelled, strict=True)]
    boxes = [source.people.boxes[rows] for source, rows in zip(sources, labelled, strict=True)]
    density = pose_density(np.concatenate(keypoints), np.concatenate(boxes), sources[0].skeleton)
    frequency = (
        np.clip(density / np.median(density), 1 / MOST, MOST) ** -exponent if len(density) else density
    )
    parts = np.split(frequency, np.cumsum([len(part) for part in keypoints])[:-1])
    shares = [np.ones(len(rows)) for rows in labelled]
    for share, rows, part in zip(shares, labelled, parts, strict=True):
        share[rows] = part
    return shares


def pose_density(keypoints: Floats, boxes: Floats, skeleton: Skeleton) -> Floats:
    """How many poses lie near each pose: a Gaussian kernel estimate over all, itself left out.

    The distance of two poses is the root mean square of that of their joints which both have, in torso
    lengths; a pose and its mirror image are the same. A pose that cannot be compared has the median density.

    Args:
        keypoints: [N, K, 3].
        boxes: [N, 4] x0, y0, x1, y1 (px).
        skeleton: of the keypoints.

    Returns:
        [N] in 0..1, never 0.
    """
    points, seen = normalised_poses(keypoints, boxes, skeleton)
    chosen = np.array(evenly(len(points), REFERENCES), np.intp)
    flip = np.array(skeleton.flip_index)
    references = np.concatenate([points[chosen], points[chosen][:, flip] * (-1.0, 1.0)])
    shown = np.concatenate([seen[chosen], seen[chosen][:, flip]])
    own = np.concatenate([chosen, chosen])
    width = _bandwidth(points[chosen], seen[chosen], references, shown)
    density = np.full(len(points), np.nan)
    for first in range(0, len(points), _ROWS):
        rows = slice(first, first + _ROWS)
        squared = _squared_distances(points[rows], seen[rows], references, shown)
        squared[own == np.arange(first, first + len(squared))[:, None]] = np.nan
        compared = np.isfinite(squared)
        near = np.exp(-0.5 * np.where(compared, squared, np.inf) / width).sum(1)
        # One more pose at no distance: a density is never 0, and that of few comparisons not extreme.
        some = compared.any(1)
        density[rows][some] = ((near + 1) / (compared.sum(1) + 1))[some]
    known = density[np.isfinite(density)]
    return np.where(np.isfinite(density), density, np.median(known) if len(known) else 1.0)


def normalised_poses(keypoints: Floats, boxes: Floats, skeleton: Skeleton) -> tuple[Floats, Flags]:
    """Joints [N, K, 2] about the torso's middle in torso lengths, 0 where unlabelled, and [N, K] which are.

    The torso is the skeleton's and its mirror image: from both shoulders to the hips across. Where not all of
    it is labelled it has its usual share of the box, about the middle of the joints; it has half of that
    at least, as one seen along its axis looks shorter than it is.
    """
    seen = keypoints[..., 2] > 0
    points = np.where(seen[..., None], keypoints[..., :2], 0.0)
    middle = points.sum(1) / np.maximum(1, seen.sum(1))[:, None]
    side = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(1), 1e-9)
    scale = TORSO * side
    if skeleton.pck.torso is not None:
        ends = np.array([skeleton.index(name) for name in skeleton.pck.torso])
        corners = np.stack([ends, np.array(skeleton.flip_index)[ends]])
        whole = np.asarray(seen[:, corners].all((1, 2)))
        diagonals = points[:, corners]
        length = np.hypot(*np.moveaxis(diagonals[:, :, 0] - diagonals[:, :, 1], 2, 0)).mean(1)
        usual = float(np.median(length[whole] / side[whole])) if whole.any() else TORSO
        scale = np.where(whole, np.maximum(length, usual / 2 * side), usual * side)
        middle = np.where(whole[:, None], diagonals.mean((1, 2)), middle)
    relative = (points - middle[:, None]) / np.maximum(scale, 1e-9)[:, None, None]
    return np.where(seen[..., None], relative, 0.0), seen


def _squared_distances(
    points: Floats,
    seen: Flags,
    references: Floats,
    shown: Flags,
) -> Floats:
    """[N, M] mean squared distance over common joints, NaN where too few are common.

    Points [N, K, 2] and references [M, K, 2] are 0 where they are not seen [N, K] or shown [M, K].
    """
    one, other = seen.astype(np.float64), shown.astype(np.float64)
    cross = points.reshape(len(points), -1) @ references.reshape(len(references), -1).T
    squared = (points**2).sum(2) @ other.T - 2 * cross + one @ (references**2).sum(2).T
    common = one @ other.T
    return np.where(common >= COMMON_JOINTS, np.maximum(squared, 0) / np.maximum(common, 1), np.nan)


def _bandwidth(
    points: Floats,
    seen: Flags,
    references: Floats,
    shown: Flags,
) -> float:
    """The kernel's variance: the median over poses of the squared distance to their NEAREST share."""
    nearest = []
    for first in range(0, len(points), _ROWS):
        rows = slice(first, first + _ROWS)
        squared = _squared_distances(points[rows], seen[rows], references, shown)
        squared[np.isnan(squared)] = np.inf
        nearest.append(np.partition(squared, rank := int(NEAREST * squared.shape[1]), axis=1)[:, rank])
    found = np.concatenate(nearest)
    found = found[np.isfinite(found) & (found > 0)]
    return float(np.median(found)) if len(found) else 1.0
