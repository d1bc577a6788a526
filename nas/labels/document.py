"""The COCO file that poses become: a new one, or the given one with joints changed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.arrays import Floats
from nas.coco import PeopleFile
from nas.coco.categories import map_joints
from nas.coco.values import Record, flag, whole
from nas.data.convert.boxes import joints_box
from nas.data.convert.coco_file import image_entry, person_category, person_entry
from nas.labels.counts import LabelCounts
from nas.labels.images import LabelSet, mergeable
from nas.labels.merge import covered, labels_of, match_poses, merge_joints
from nas.labels.poses import ImagePoses, TaughtPose
from nas.labels.settings import LabelSettings, MergeSettings
from nas.space import Skeleton

IN_CROWD = 0.5
"""A pose whose box lies by more than this share in a crowd region is one of the crowd."""

Document = dict[str, Any]


def new_document(
    listed: LabelSet, found: Mapping[int, ImagePoses], skeleton: Skeleton, settings: LabelSettings
) -> tuple[Document, LabelCounts]:
    """A file of the poses alone, with the crowd regions of the file that lists the images.

    Whoever stands in a given or detected box without a pose is there without joints, which training masks.
    """
    counts = LabelCounts(skeleton.keypoints)
    images: list[Document] = []
    people: list[Document] = []
    for image in listed.images:
        if image.id not in found:
            continue
        size = found[image.id].size
        images.append(image_entry(image.id, image.name, size))
        for pose in found[image.id].poses:
            labels = _labels(pose, size, settings)
            bbox = pose.bbox or joints_box(labels, size, [])
            if bbox is not None:
                people.append(person_entry(len(people) + 1, image.id, labels, bbox=bbox))
                counts.add(labels)
    kept = {entry["id"] for entry in images}
    for row in _crowds(listed):
        if whole(row.get("image_id")) in kept:
            people.append(_crowd(row, len(people) + 1, len(skeleton)))
    content = {"images": images, "annotations": people, "categories": [person_category(skeleton)]}
    return content, counts


def merged_document(
    listed: LabelSet,
    found: Mapping[int, ImagePoses],
    skeleton: Skeleton,
    settings: LabelSettings,
    merge: MergeSettings,
) -> tuple[Document, LabelCounts]:
    """The given file with its people's joints merged with poses, and with the people that it lacks.

    Its joints are the file's own; those that the network does not know stay as they are.
    """
    assert listed.content is not None
    assert listed.given is not None
    return _Merging(listed, listed.content, listed.given, skeleton, settings, merge).document(found)


class _Merging:
    """Merges the poses of all images with given people."""

    def __init__(
        self,
        listed: LabelSet,
        content: Mapping[str, Any],
        given: PeopleFile,
        skeleton: Skeleton,
        settings: LabelSettings,
        merge: MergeSettings,
    ) -> None:
        self._listed = listed
        self._content = content
        self._given = given
        self._skeleton = skeleton
        self._settings = settings
        self._merge = merge
        self._own = given.skeleton
        self._counts = LabelCounts(self._own.keypoints)
        self._changed: dict[int, Floats] = {}
        self._added: list[Document] = []
        ids = (whole(row.get("id")) for row in content["annotations"])
        self._next = 1 + max((id_ for id_ in ids if id_ is not None), default=0)

    def document(self, found: Mapping[int, ImagePoses]) -> tuple[Document, LabelCounts]:
        """The new content, and what was changed."""
        people, free = self._given.people, mergeable(self._given)
        rows: dict[int, list[int]] = {}
        for row, image in enumerate(people.image.tolist()):
            rows.setdefault(self._given.images[image].id, []).append(row)
        for listed in self._listed.images:
            of_image = rows.get(listed.id, [])
            open_rows = [row for row in of_image if free[row]]
            poses = found.get(listed.id, ImagePoses((1, 1), ()))
            if self._listed.rows is not None:
                pose_of = dict(zip(open_rows, poses.poses, strict=False))
            else:
                closed = people.bbox[[row for row in of_image if not free[row]]]
                pose_of = self._assigned(listed.id, open_rows, closed, poses)
            for row in of_image:
                if not people.crowd[row]:
                    self._person(row, pose_of.get(row), poses.size)
        changed = [self._row(row) for row in self._content["annotations"]]
        return {**self._content, "annotations": [*changed, *self._added]}, self._counts

    def _assigned(
        self, id_: int, rows: Sequence[int], closed: Floats, image: ImagePoses
    ) -> dict[int, TaughtPose]:
        """The poses of an image's people, by their rows; those of nobody, outside of `closed`, are added."""
        people = self._given.people
        poses: list[TaughtPose] = []
        found: list[Sequence[float]] = []
        for pose in image.poses:
            labels = _labels(pose, image.size, self._settings)
            bbox = pose.bbox or joints_box(labels, image.size, [])
            if bbox is not None and labels[:, 2].any():
                poses.append(pose)
                found.append(bbox)
        if not poses:
            return {}
        boxes = np.array(found, np.float64)
        whose = match_poses(
            np.array([pose.keypoints for pose in poses]),
            boxes,
            map_joints(people.keypoints[list(rows)], self._own, self._skeleton),
            people.bbox[list(rows)],
            areas=people.areas[list(rows)],
            sigmas=self._skeleton.sigmas,
        )
        hidden = covered(boxes, closed) > IN_CROWD
        for number, pose in enumerate(poses):
            if number not in whose and not hidden[number]:
                self._add(id_, pose, found[number], image.size)
        return {rows[person]: poses[number] for number, person in whose.items()}

    def _person(self, row: int, pose: TaughtPose | None, size: tuple[int, int]) -> None:
        people = self._given.people
        given = people.keypoints[row]
        if pose is None or pose.score < self._settings.min_score:
            self._counts.add(given, "given", "unseen", given=given)
            return
        merged = merge_joints(
            given,
            map_joints(pose.keypoints, self._skeleton, self._own),
            scale=float(np.sqrt(people.areas[row])),
            size=size,
            least=self._settings.min_keypoint,
            settings=self._merge,
        )
        self._counts.merge(merged)
        kind = "merged" if merged.taken else "contradicted"
        self._counts.add(merged.keypoints, "given", kind, given=given)
        if merged.dropped.any() or merged.filled.any():
            self._changed[int(people.ids[row])] = merged.keypoints

    def _add(self, image: int, pose: TaughtPose, bbox: Sequence[float], size: tuple[int, int]) -> None:
        labels = _labels(pose, size, self._settings)
        labels = map_joints(labels, self._skeleton, self._own)
        entry = person_entry(self._next, image, labels, bbox=bbox)
        self._added.append({**entry, "category_id": self._given.category.id})
        self._counts.add(labels, "added")
        self._next += 1

    def _row(self, row: Record) -> Record:
        """An annotation with its joints as they are now."""
        id_ = whole(row.get("id"))
        keypoints = self._changed.get(id_) if id_ is not None and self._given.category.holds(row) else None
        if keypoints is None:
            return row
        flat = [value for x, y, v in keypoints.tolist() for value in (round(x, 3), round(y, 3), int(v))]
        return {**row, "keypoints": flat, "num_keypoints": int((keypoints[:, 2] > 0).sum())}


def _labels(pose: TaughtPose, size: tuple[int, int], settings: LabelSettings) -> Floats:
    if pose.score < settings.min_score:
        return np.zeros(pose.keypoints.shape)
    return labels_of(pose.keypoints, size, least=settings.min_keypoint)


def _crowds(listed: LabelSet) -> list[Record]:
    """The crowd regions of the file that lists the images."""
    rows = None if listed.content is None else listed.content.get("annotations")
    return [
        row
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
        and flag(row.get("iscrowd"))
        and (listed.category is None or whole(row.get("category_id")) in listed.category)
    ]


def _crowd(row: Record, id_: int, joints: int) -> Document:
    """A crowd region in a file with so many joints."""
    same = {name: row[name] for name in ("image_id", "bbox", "area", "segmentation") if name in row}
    nothing = {"keypoints": [0] * 3 * joints, "num_keypoints": 0}
    return {**same, "id": id_, "category_id": 1, "iscrowd": 1, **nothing}
