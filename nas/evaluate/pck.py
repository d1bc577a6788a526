"""PCK: how many keypoints lie within a fraction of a reference length (Yang & Ramanan, 2013; PCKh: MPII)."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from nas.arrays import Flags, Floats
from nas.codecs.types import FloatArray
from nas.errors import UserError
from nas.evaluate.similarity import oks
from nas.space.skeleton import Skeleton

Reference = Literal["torso", "head"]

THRESHOLDS = (0.5, 0.2, 0.1)


def pck(
    found: FloatArray,
    truth: FloatArray,
    skeleton: Skeleton,
    *,
    reference: Reference = "torso",
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, float]:
    """The share of labelled keypoints found within a fraction of the person's torso or head length.

    People whose reference segment is not labelled are left out.

    Args:
        found: [N, K, >= 2] x, y (px) of the pose that answers each annotated person; NaN where there is none.
        truth: [N, K, 3] x, y (px), v.
        skeleton: says which joints the reference segment joins.
        reference: "torso" or "head".
        thresholds: fractions of the reference length.

    Returns:
        PCK_<reference>@<threshold> over all keypoints, and PCK_<reference>@<threshold>/<keypoint> for each.
        Keypoints of which no one is labelled are left out; with none at all the figures are -1.

    Raises:
        UserError: the skeleton names no such segment.
    """
    figures: dict[str, float] = {}
    for threshold in thresholds:
        right, counted = right_joints(found, truth, skeleton, reference=reference, threshold=threshold)
        name = f"PCK_{reference}@{threshold:g}"
        figures[name] = float(right.sum() / counted.sum()) if counted.any() else -1.0
        for joint, keypoint in enumerate(skeleton.keypoints):
            if counted[:, joint].any():
                figures[f"{name}/{keypoint}"] = float(right[:, joint].sum() / counted[:, joint].sum())
    return figures


def right_joints(
    found: FloatArray, truth: FloatArray, skeleton: Skeleton, *, reference: Reference, threshold: float
) -> tuple[Flags, Flags]:
    """Which keypoints [N, K] are found, and which count; for arguments and errors see `pck`."""
    lengths = reference_lengths(truth, skeleton, reference=reference)
    distance = np.linalg.norm(found[..., :2] - truth[..., :2], axis=-1)
    counted = (truth[..., 2] > 0) & (lengths > 0)[:, None]
    return (distance <= threshold * lengths[:, None]) & counted, counted


def reference_lengths(truth: FloatArray, skeleton: Skeleton, *, reference: Reference) -> Floats:
    """The length (px) [N] of each person's reference segment; 0 where one of its ends is not labelled."""
    segment = getattr(skeleton.pck, reference)
    if segment is None:
        raise UserError(no_segment(skeleton, reference))
    start, end = (truth[:, skeleton.index(name)] for name in segment)
    length = np.linalg.norm(start[:, :2] - end[:, :2], axis=-1)
    return np.where((start[:, 2] > 0) & (end[:, 2] > 0), length, 0.0)


def no_segment(skeleton: Skeleton, reference: str) -> str:
    """What to say where a skeleton lacks a reference segment, and what to do."""
    return (
        f"skeleton {skeleton.name!r} names no {reference} segment for PCK; add the two joints that span it "
        f"to the skeleton's YAML file, as in docs/data.md: `pck: {{{reference}: [JOINT, JOINT]}}`"
    )


def match_people(found: FloatArray, truth: FloatArray, *, areas: FloatArray, skeleton: Skeleton) -> Floats:
    """The found pose that answers each annotated person of one image, by the best sum of similarities.

    Args:
        found: [D, K, 3] x, y (px), score.
        truth: [G, K, 3] x, y (px), v.
        areas: [G] px^2.

    Returns:
        [G, K, 3]; NaN where a person is answered by no pose, or by one of no similarity at all.
    """
    answers = np.full(truth.shape, np.nan)
    similarity = oks(found, truth, areas=areas, sigmas=skeleton.sigmas)
    row, column = linear_sum_assignment(similarity, maximize=True)
    similar = similarity[row, column] > 0
    answers[column[similar]] = found[row[similar]]
    return answers
