"""Annotated images and people of one data set, as columns that worker processes can share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from posixpath import normpath
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nas.data.shards import ImageFile, ShardMember, members_of, shards_of
from nas.errors import UserError
from nas.pictures import Orientation
from nas.space.skeleton import Skeleton


@dataclass(frozen=True)
class ImageRecord:
    """One image.

    Args:
        id: the set's own id.
        file: path below the image folder.
        size: (h, w) in px.
        crowd_index: how much people overlap, 0..1, where the set says so (CrowdPose).
    """

    id: int
    file: str
    size: tuple[int, int]
    crowd_index: float | None = None


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
        num_keypoints: [N] int64, 0 for a person of whom nothing is labelled.
        segmentations: N entries; COCO polygons or RLE of regions without labels, None for everyone else.
    """

    ids: NDArray[np.int64]
    image: NDArray[np.int64]
    keypoints: NDArray[np.float64]
    bbox: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    num_keypoints: NDArray[np.int64]
    segmentations: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def boxes(self) -> NDArray[np.float64]:
        """[N, 4] x0, y0, x1, y1 in the keypoints' coordinates (an image begins at -0.5)."""
        corner = self.bbox[:, :2] - 0.5
        return np.concatenate([corner, corner + self.bbox[:, 2:]], axis=1)

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """[N] True for one person, with a box of some extent, of whom something is labelled."""
        seen = (self.num_keypoints > 0) & (self.keypoints[..., 2] > 0).any(1)
        return ~self.crowd & seen & (self.bbox[:, 2:] > 0).all(1)

    def take(self, rows: NDArray[np.int64], image: NDArray[np.int64]) -> "PersonTable":
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


@dataclass(frozen=True, eq=False)
class Annotations:
    """One split of a data set, its joints mapped onto the wanted skeleton.

    Args:
        path: the annotation file.
        folder: the folder of images or of shards of them; None where only annotations are needed.
        skeleton: what the keypoints are.
        images: all images, people or not.
        people: everyone annotated, crowd regions included.
        category: the file's category id of a person.
        complete: whether every visible person is annotated. Where not, the loss of a whole-image task counts
            only inside the annotated boxes.
        orientation: whether labels are of pictures turned as their orientation flag says, or as stored.
    """

    path: Path
    folder: Path | None
    skeleton: Skeleton
    images: tuple[ImageRecord, ...]
    people: PersonTable
    category: int = 1
    complete: bool = True
    orientation: Orientation = "turned"

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.searchsorted(self.people.image, np.arange(len(self.images) + 1))

    def people_of(self, image: int) -> slice:
        """The rows of `people` that belong to the image at that position."""
        return slice(int(self._starts[image]), int(self._starts[image + 1]))

    @cached_property
    def labelled_images(self) -> NDArray[np.int64]:
        """The positions of the images with at least one labelled person."""
        return np.unique(self.people.image[self.people.labelled])

    def image_file(self, image: int) -> ImageFile:
        """The file of the image at that position. Raises UserError where the set came without images."""
        if self.folder is None:
            raise UserError(f"{self.path}: an image folder is needed; the set was loaded without one")
        name = self.images[image].file
        return self._members.get(normpath(name)) or self.folder / name

    @cached_property
    def _members(self) -> Mapping[str, ShardMember]:
        return {} if self.folder is None else members_of(shards_of(self.folder))

    def select(self, ids: Iterable[int]) -> Self:
        """Only the images of these ids, in the file's order. Raises UserError for an unknown id."""
        wanted = set(ids)
        kept = [position for position, image in enumerate(self.images) if image.id in wanted]
        if len(kept) < len(wanted):
            missing = sorted(wanted - {self.images[position].id for position in kept})
            raise UserError(f"{self.path}: there is no image with id {missing[0]} ({len(missing)} such ids)")
        moved = np.full(len(self.images), -1)
        moved[kept] = np.arange(len(kept))
        rows = np.flatnonzero(moved[self.people.image] >= 0)
        people = self.people.take(rows, moved[self.people.image[rows]])
        return replace(self, images=tuple(self.images[position] for position in kept), people=people)

    def first(self, count: int) -> Self:
        """Only the first `count` images."""
        return self.select(image.id for image in self.images[:count])

    def to_coco(self) -> dict[str, Any]:
        """The set as a COCO dictionary for evaluation: keypoints of the skeleton, no segmentations."""
        return {
            "images": [_image_json(image) for image in self.images],
            "annotations": [self._person_json(row) for row in range(len(self.people))],
            "categories": [
                {
                    "id": self.category,
                    "name": "person",
                    "supercategory": "person",
                    "keypoints": list(self.skeleton.keypoints),
                    "skeleton": [],
                }
            ],
        }

    def _person_json(self, row: int) -> dict[str, Any]:
        people = self.people
        return {
            "id": int(people.ids[row]),
            "image_id": self.images[people.image[row]].id,
            "category_id": self.category,
            "keypoints": people.keypoints[row].ravel().tolist(),
            "num_keypoints": int(people.num_keypoints[row]),
            "bbox": people.bbox[row].tolist(),
            "area": float(people.areas[row]),
            "iscrowd": int(people.crowd[row]),
        }


def _image_json(image: ImageRecord) -> Mapping[str, Any]:
    height, width = image.size
    record = {"id": image.id, "file_name": image.file, "height": height, "width": width}
    return record if image.crowd_index is None else record | {"crowdIndex": image.crowd_index}
