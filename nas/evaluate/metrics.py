"""Which figures data of a skeleton can be scored by."""

from dataclasses import fields
from pathlib import Path

import numpy as np

from nas.coco import ImageRecord, PersonTable
from nas.data.annotations import Annotations
from nas.errors import UserError
from nas.evaluate.by_size import COUNT
from nas.evaluate.pck import no_segment
from nas.evaluate.validate import score
from nas.space.skeleton import PckSegments, Skeleton

_SIDE = 100


def metric_names(skeleton: Skeleton, *, crowd_index: bool = False) -> tuple[str, ...]:
    """The names of the accuracies that `score` gives, those of single keypoints left out.

    All of them are the better the higher they are. `score` itself is asked, about one made-up person whom
    nobody found.

    Args:
        skeleton: of the data.
        crowd_index: whether every image has one, as CrowdPose's have.
    """
    figures = score([], _one_person(skeleton, crowd_index=crowd_index)).figures
    return tuple(name for name in figures if "/" not in name and not name.startswith(COUNT))


def require_metric(name: str, skeleton: Skeleton) -> None:
    """Raise UserError where data of this skeleton cannot be scored by a metric; says what is lacking."""
    known = metric_names(skeleton, crowd_index=True)
    if name in known:
        return
    for reference in (field.name for field in fields(PckSegments)):
        if name.startswith(f"PCK_{reference}@") and getattr(skeleton.pck, reference) is None:
            raise UserError(f"metric {name}: {no_segment(skeleton, reference)}")
    raise UserError(
        f"metric {name!r} is not known; with skeleton {skeleton.name} there are {', '.join(known)}"
    )


def _one_person(skeleton: Skeleton, *, crowd_index: bool) -> Annotations:
    """One image of one person, of whom everything is labelled."""
    joints = len(skeleton.keypoints)
    places = np.linspace(1, _SIDE - 1, joints)
    keypoints = np.stack([places, places, np.full(joints, 2.0)], axis=1)
    return Annotations(
        path=Path("one person"),
        folder=None,
        skeleton=skeleton,
        images=(ImageRecord(1, "1", (_SIDE, _SIDE), 0.5 if crowd_index else None),),
        people=PersonTable(
            ids=np.array([1]),
            image=np.array([0]),
            keypoints=keypoints[None],
            bbox=np.array([[0.0, 0.0, _SIDE, _SIDE]]),
            areas=np.array([0.5 * _SIDE**2]),
            crowd=np.array([False]),
            num_keypoints=np.array([joints]),
            segmentations=(None,),
        ),
    )
