"""How easy a data set is: everyone gets the average pose."""

import numpy as np

from nas.arrays import Floats
from nas.data.annotations import Annotations
from nas.errors import UserError
from nas.evaluate.validate import Result, score
from nas.runtime.results import Detection


def mean_pose(train: Annotations) -> Floats:
    """The average place [K, 2] of each keypoint in the person's box (0..1 across, 0..1 down).

    A keypoint that is never labelled is put in the box's centre.
    """
    labelled = train.people.labelled
    keypoints, boxes = train.people.keypoints[labelled], train.people.boxes[labelled]
    places = (keypoints[..., :2] - boxes[:, None, :2]) / (boxes[:, 2:] - boxes[:, :2])[:, None]
    seen = keypoints[..., 2:] > 0
    total = np.where(seen, places, 0).sum(0)
    count = seen.sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), 0.5)


def mean_pose_detections(train: Annotations, validation: Annotations) -> list[Detection]:
    """The training people's average pose put into every labelled validation person's true box, score 1."""
    pose = mean_pose(train)
    people = validation.people
    detections = []
    for row in np.flatnonzero(people.labelled):
        x0, y0, x1, y1 = people.boxes[row]
        points = np.array([x0, y0]) + pose * np.array([x1 - x0, y1 - y0])
        keypoints = np.column_stack([points, np.ones(len(points))])
        detections.append(
            {
                "image_id": validation.images[people.image[row]].id,
                "category_id": validation.category,
                "keypoints": keypoints.ravel().tolist(),
                "score": 1.0,
            }
        )
    return detections


def mean_pose_baseline(train: Annotations, validation: Annotations) -> Result:
    """What the average pose scores: a network has learned something only above this.

    Raises UserError where the two sets have different skeletons.
    """
    if train.skeleton.keypoints != validation.skeleton.keypoints:
        raise UserError(f"{train.path} and {validation.path} are loaded with different skeletons")
    return score(mean_pose_detections(train, validation), validation)
