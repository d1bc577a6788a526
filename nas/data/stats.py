"""Figures of a data set: images, people, joints, sizes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.arrays import Floats
from nas.coco import people_of
from nas.data.annotations import Annotations
from nas.data.check_layout import find_splits
from nas.data.coco import annotations_of
from nas.space.skeleton import Skeleton

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

SMALL, MEDIUM = 32.0**2, 96.0**2
"""COCO's bounds of areas (px^2): below the first is small, below the second medium, the rest large."""

Spread = tuple[float, ...]
"""The QUANTILES of something; empty where there is nothing."""


@dataclass(frozen=True)
class SplitStats:
    """One annotation file.

    Args:
        file: the file.
        images: all images.
        labelled_images: images with at least one labelled person.
        people: people annotated, crowds not counted.
        labelled: people of whom something is labelled.
        crowds: crowd regions.
        per_image: how many images have 0, 1, 2, ... people, crowds not counted.
        joints: for each joint how many people have it labelled, and how many of these occluded.
        joints_per_person: mean number of labelled joints of a labelled person.
        image_height: spread of image heights (px).
        image_width: spread of image widths (px).
        box_height: spread of labelled people's box heights (px).
        box_width: spread of their box widths (px).
        area: spread of their areas (px^2).
        by_area: how many of them are small, medium and large by COCO's bounds.
    """

    file: Path
    images: int
    labelled_images: int
    people: int
    labelled: int
    crowds: int
    per_image: tuple[int, ...]
    joints: dict[str, tuple[int, int]]
    joints_per_person: float
    image_height: Spread
    image_width: Spread
    box_height: Spread
    box_width: Spread
    area: Spread
    by_area: tuple[int, int, int]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        names = [f"p{round(100 * quantile)}" for quantile in QUANTILES]
        spreads = ("image_height", "image_width", "box_height", "box_width", "area")
        return {
            "file": str(self.file),
            "images": self.images,
            "labelled_images": self.labelled_images,
            "people": self.people,
            "labelled_people": self.labelled,
            "crowds": self.crowds,
            "images_by_people": {str(count): images for count, images in enumerate(self.per_image) if images},
            "joints_per_person": self.joints_per_person,
            "joints": {
                name: {"labelled": labelled, "occluded": occluded, "share": labelled / max(self.labelled, 1)}
                for name, (labelled, occluded) in self.joints.items()
            },
            "people_by_area": dict(zip(("small", "medium", "large"), self.by_area, strict=True)),
        } | {name: dict(zip(names, getattr(self, name), strict=False)) for name in spreads}


def dataset_stats(
    data: Path, *, skeleton: Skeleton | None = None, category: str | None = None
) -> tuple[SplitStats, ...]:
    """The figures of an annotation file, or of every such file of a folder.

    Args:
        data: the file, or the data set's folder.
        skeleton: the joints to count; by default each file's own.
        category: as in `load_annotations`.

    Raises:
        UserError: nothing there, or a file that the loader refuses.
    """
    splits, _ = find_splits(data, None)
    return tuple(
        split_stats(annotations_of(people_of(split.content, split.path, skeleton, category=category), None))
        for split in splits
    )


def split_stats(annotations: Annotations) -> SplitStats:
    """The figures of one split."""
    people = annotations.people
    rows = people.labelled
    v = people.keypoints[rows][..., 2]
    per_image = np.bincount(people.image[~people.crowd], minlength=len(annotations.images))
    sizes = np.array([image.size for image in annotations.images], np.float64)
    areas = people.areas[rows]
    by_area = np.histogram(areas, [-np.inf, SMALL, MEDIUM, np.inf])[0].tolist()
    return SplitStats(
        file=annotations.path,
        images=len(annotations.images),
        labelled_images=len(annotations.labelled_images),
        people=int((~people.crowd).sum()),
        labelled=int(rows.sum()),
        crowds=int(people.crowd.sum()),
        per_image=tuple(np.bincount(per_image).tolist()),
        joints={
            name: (int((v[:, k] > 0).sum()), int((v[:, k] == 1).sum()))
            for k, name in enumerate(annotations.skeleton.keypoints)
        },
        joints_per_person=float((v > 0).sum() / max(len(v), 1)),
        image_height=_spread(sizes[:, 0]),
        image_width=_spread(sizes[:, 1]),
        box_height=_spread(people.bbox[rows, 3]),
        box_width=_spread(people.bbox[rows, 2]),
        area=_spread(areas),
        by_area=(by_area[0], by_area[1], by_area[2]),
    )


def _spread(values: Floats) -> Spread:
    return tuple(np.quantile(values, QUANTILES).tolist()) if len(values) else ()
