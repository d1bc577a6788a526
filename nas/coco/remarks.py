"""What is read otherwise than it is written: said once for a file and class, not for every case."""

from nas.coco.person import AREA_OF_BOX
from nas.documents import shown

CLASSES = {
    "unnamed_joints": "categories do not name their joints, which are taken for the skeleton's, in its order",
    "outside_folder": "images lie outside the image folder",
    "no_area": f"areas cannot be used: the segmentation's is taken, else {AREA_OF_BOX} of the box",
    "far_joint": "people have labelled joints at impossible places, which count as unlabelled",
    "stated_count": "people have another 'num_keypoints' than labelled joints",
    "segmentation": "segmentations cannot be read: the region is the box",
    "flat_box": "people have a box without extent and are left out",
}

_LONGEST_CASE = 300


class Remarks:
    """Counts the cases of each class, and keeps the first."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, kind: str, case: str) -> None:
        """Count a case of one of `CLASSES`."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._first.setdefault(kind, case)

    def lines(self) -> tuple[str, ...]:
        """One for each class that there is."""
        return tuple(
            f"{self._counts[kind]} {text} (the first: {_legible(self._first[kind])})"
            for kind, text in CLASSES.items()
            if kind in self._counts
        )


def _legible(case: str) -> str:
    return case if case.isprintable() and len(case) <= _LONGEST_CASE else shown(case)
