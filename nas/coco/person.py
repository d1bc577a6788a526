"""One annotation of a person: what it says, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.arrays import Floats
from nas.coco.segmentation import FAR, Segmentation
from nas.coco.values import EntryError, Record, flag, number, numbers, whole
from nas.documents import shown

AREA_OF_BOX = 0.53
"""A person's area as a share of the box, where only that is known (CrowdPose's evaluation)."""

LEAST_OF_BOX = 1e-3
"""An area below this share of the box is none; people's boxes are filled to a tenth and more."""

_ROUNDING = 1.01
_VISIBILITIES = {0.0, 1.0, 2.0}

Box = tuple[float, float, float, float]
"""x, y, width, height as COCO writes them: continuous, 0 at the first pixel's edge."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something about an annotation that is not as it should be.

    Args:
        kind: the class of it.
        what: what exactly.
        fatal: whether there is no sense in reading the file; else it is read as the class says.
        joints: positions of the joints in question.
    """

    kind: str
    what: str
    fatal: bool = True
    joints: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Person:
    """What could be read of an annotation; None where nothing usable was there.

    Args:
        id: of the annotation.
        image: its image's id.
        crowd: whether it is a region of many people.
        keypoints: [K, 3] x, y, v; those at impossible places are unlabelled.
        bbox: its box.
        area: px^2.
        stated: `num_keypoints`.
    """

    id: int | None
    image: int | None
    crowd: bool
    keypoints: Floats | None
    bbox: Box | None
    area: float | None
    stated: int | None

    @property
    def labelled(self) -> int:
        """How many of its keypoints are labelled."""
        return 0 if self.keypoints is None else int(np.count_nonzero(self.keypoints[:, 2]))


class PersonReader:
    """Reads the annotations of one file.

    Args:
        joints: what the category's joints are called.
        sizes: (h, w) of each image, by id.
    """

    def __init__(self, joints: Sequence[str], sizes: Mapping[int, tuple[int, int]]) -> None:
        self._joints = joints
        self._sizes = sizes

    def read(self, row: Record) -> tuple[Person, list[Fault]]:
        """One annotation, and all that is wrong with it."""
        faults: list[Fault] = []
        id_ = whole(row.get("id"))
        if id_ is None:
            faults.append(Fault("malformed", f"the 'id' is no whole number, but {shown(row.get('id'))}"))
        image = whole(row.get("image_id"))
        size = None if image is None else self._sizes.get(image)
        if size is None:
            image = None
            faults.append(Fault("unknown_image", f"image {shown(row.get('image_id'))} is not listed"))
        crowd = flag(row.get("iscrowd"))
        if crowd is None:
            faults.append(Fault("malformed", f"'iscrowd' must be 0 or 1, got {shown(row['iscrowd'])}"))
        bbox = self._bbox(row.get("bbox"), size, faults)
        area = self._area(row.get("area"), bbox, size, faults)
        stated = whole(row.get("num_keypoints"))
        if stated is None and row.get("num_keypoints") is not None:
            what = f"'num_keypoints' must be an integer, got {shown(row['num_keypoints'])}"
            faults.append(Fault("malformed", what))
        keypoints = self._keypoints(row.get("keypoints"), stated, size, faults)
        return Person(id_, image, bool(crowd), keypoints, bbox, area, stated), faults

    def _bbox(self, value: Any, size: tuple[int, int] | None, faults: list[Fault]) -> Box | None:
        try:
            return read_bbox(value, size)
        except EntryError as error:
            faults.append(Fault("malformed", str(error)))
            return None

    def _area(
        self, value: Any, bbox: Box | None, size: tuple[int, int] | None, faults: list[Fault]
    ) -> float | None:
        if value is not None and type(value) not in (int, float):
            faults.append(Fault("malformed", f"'area' must be a number, got {shown(value)}"))
            return None
        fault = _area_fault(value, box_area(bbox), size)
        if fault:
            faults.append(Fault("no_area", fault, fatal=False))
            return None
        return number(value)

    def _keypoints(
        self, value: Any, stated: int | None, size: tuple[int, int] | None, faults: list[Fault]
    ) -> Floats | None:
        needed = 3 * len(self._joints)
        if value is None or value == []:
            value = [0.0] * needed
        fault = _keypoints_fault(value, needed)
        points = None if fault else numbers(value)
        if fault or points is None:
            faults.append(fault or Fault("malformed", "'keypoints' holds something that is no number"))
            return None
        points = points.reshape(-1, 3)
        v = points[:, 2]
        if not set(v.tolist()) <= _VISIBILITIES:
            joints = tuple(np.flatnonzero(~np.isin(v, list(_VISIBILITIES))).tolist())
            named = ", ".join(f"{self._joints[index]} {v[index]:g}" for index in joints)
            faults.append(Fault("visibility", f"a keypoint's v is none of 0, 1, 2: {named}", joints=joints))
            return None
        count = int(np.count_nonzero(v))
        if stated is not None and stated != count:
            faults.append(Fault("stated_count", f"{stated} stated, {count} labelled", fatal=False))
        if not np.abs(points).max() <= _reach(size):
            self._leave_out_far(points, _reach(size), faults)
        return points

    def _leave_out_far(self, points: Floats, reach: float, faults: list[Fault]) -> None:
        """Make joints [K, 3] unlabelled, in place, that are farther away, or not a number."""
        far = ~(np.abs(points[:, :2]) <= reach).all(1)
        lost = tuple(np.flatnonzero(far & (points[:, 2] > 0)).tolist())
        if lost:
            x, y, _ = points[lost[0]]
            more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
            what = f"{self._joints[lost[0]]} at ({x:g}, {y:g}){more}"
            faults.append(Fault("far_joint", what, fatal=False, joints=lost))
        points[far] = 0


def read_bbox(value: Any, size: tuple[int, int] | None) -> Box:
    """A box in an image of size (h, w). Raises EntryError."""
    if value is None:
        raise EntryError("'bbox' is missing")
    if not isinstance(value, list):
        raise EntryError(f"'bbox' must be a list of 4 numbers, got {shown(value)}")
    if len(value) != 4:
        raise EntryError(f"'bbox' has {len(value)} numbers where 4 are needed")
    if not all(type(part) in (int, float) for part in value):
        raise EntryError(f"'bbox' holds something that is no number: {shown(value)}")
    reach = _reach(size)
    if not all(abs(part) <= reach for part in value):
        raise EntryError(f"'bbox' is at an impossible place: {shown(value)}")
    x, y, width, height = map(float, value)
    return x, y, width, height


def box_area(bbox: Box | None) -> float:
    """Px^2; 0 of a box without extent."""
    return 0.0 if bbox is None else max(bbox[2], 0.0) * max(bbox[3], 0.0)


def is_flat(bbox: Box) -> bool:
    """Whether it has no extent."""
    return bbox[2] <= 0 or bbox[3] <= 0


def person_area(bbox: Box, segmentation: Segmentation | None) -> float:
    """The area (px^2) of someone without one: the segmentation's, else `AREA_OF_BOX` of the box."""
    area = 0.0 if segmentation is None else segmentation.area
    return area if area > 0 else AREA_OF_BOX * box_area(bbox)


def _reach(size: tuple[int, int] | None) -> float:
    return FAR * (2**20 if size is None else max(size))


def _area_fault(value: Any, box: float, size: tuple[int, int] | None) -> str | None:
    if value is None:
        return "it is missing"
    area = number(value)
    if area is None or area <= 0:
        return f"it is {shown(value)}"
    most = max(box, size[0] * size[1]) if size else area
    if area > most * _ROUNDING:
        return f"{area:g} px² are more than its image and its box have"
    if area < LEAST_OF_BOX * box:
        return f"{area:g} px² are next to nothing of its box"
    return None


def _keypoints_fault(value: Any, needed: int) -> Fault | None:
    if not isinstance(value, list):
        return Fault("malformed", f"'keypoints' must be a list of numbers, got {shown(value)}")
    if any(isinstance(part, list | dict) for part in value[:1]):
        form = "one flat list [x, y, v, x, y, v, ...] is needed"
        return Fault("malformed", f"'keypoints' is a list of lists or of fields; {form}")
    if len(value) != needed:
        what = f"'keypoints' has {len(value)} numbers where {needed} are needed"
        return Fault("joint_count", f"{what} (3 for each of {needed // 3} joints)")
    return None
