"""The people of a file as columns that worker processes can share."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas.arrays import Flags, Floats, Ints
from nas.coco.segmentation import Segmentation


@dataclass(frozen=True, eq=False)
class PersonTable:
    """The people of all images, one row each, in the order of their images.

    Args:
        ids: [N] int64.
        image: [N] int64, position of the person's image.
        keypoints: [N, K, 3] x, y (image px, first pixel's centre at 0), v (0 unlabelled, 1 occluded,
            2 visible).
        bbox: [N, 4] x, y, width, height as COCO writes them: continuous, 0 at the first pixel's edge.
        areas: [N] px^2.
        crowd: [N] bool.
        num_keypoints: [N] int64, 0 for a person who does not count: nothing is labelled, or there is no box.
        segmentations: N entries; the regions of those without labels, None for everyone else.
    """

    ids: Ints
    image: Ints
    keypoints: Floats
    bbox: Floats
    areas: Floats
    crowd: Flags
    num_keypoints: Ints
    segmentations: tuple[Segmentation | None, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def boxes(self) -> Floats:
        """[N, 4] x0, y0, x1, y1 in the keypoints' coordinates (an image begins at -0.5)."""
        return centred(self.bbox)

    @cached_property
    def labelled(self) -> Flags:
        """[N] True for one person, with a box of some extent, of whom something is labelled."""
        seen = (self.num_keypoints > 0) & (self.keypoints[..., 2] > 0).any(1)
        return ~self.crowd & seen & (self.bbox[:, 2:] > 0).all(1)

    def take(self, rows: Ints, image: Ints) -> "PersonTable":
        """The given rows, of images at new positions `image` [len(rows)]."""
        return PersonTable(
            ids=self.ids[rows],
            image=image,
            keypoints=self.keypoints[rows],
            bbox=self.bbox[rows],
            areas=self.areas[rows],
            crowd=self.crowd[rows],
            num_keypoints=self.num_keypoints[rows],
            segmentations=tuple(self.segmentations[row] for row in rows),
        )


def centred(bbox: Floats) -> Floats:
    """Boxes [N, 4] of COCO as x0, y0, x1, y1 where 0 is the first pixel's centre."""
    corner = bbox[:, :2] - 0.5
    return np.concatenate([corner, corner + bbox[:, 2:]], axis=1)
