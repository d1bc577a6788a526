"""One split of a data set: its images, its people, and where the pictures are."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from nas.arrays import Ints
from nas.coco import ImageRecord, PersonTable
from nas.data.shards import ImageFile, image_finder
from nas.errors import UserError
from nas.pictures import Orientation
from nas.space.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Annotations:
    """One split of a data set, its joints mapped onto the wanted skeleton.

    Args:
        path: the annotation file.
        folder: the folder of images or of shards of them; None where only annotations are needed.
        skeleton: what the keypoints are.
        images: all images, people or not.
        people: everyone annotated, crowd regions included.
        category: the file's category id of a person; of several the least.
        complete: whether every visible person is annotated. Where not, the loss of a whole-image task counts
            only inside the annotated boxes.
        orientation: whether labels are of pictures turned as their orientation flag says, or as stored.
        joints: what the file itself calls its joints.
    """

    path: Path
    folder: Path | None
    skeleton: Skeleton
    images: tuple[ImageRecord, ...]
    people: PersonTable
    category: int = 1
    complete: bool = True
    orientation: Orientation = "turned"
    joints: tuple[str, ...] = ()

    @cached_property
    def _starts(self) -> Ints:
        return np.searchsorted(self.people.image, np.arange(len(self.images) + 1))

    def people_of(self, image: int) -> slice:
        """The rows of `people` that belong to the image at that position."""
        return slice(int(self._starts[image]), int(self._starts[image + 1]))

    @cached_property
    def labelled_images(self) -> Ints:
        """The positions of the images with at least one labelled person."""
        return np.unique(self.people.image[self.people.labelled])

    def image_file(self, image: int) -> ImageFile:
        """The file of the image at that position. Raises UserError where the set came without images."""
        if self.folder is None:
            raise UserError(f"{self.path}: an image folder is needed; the set was loaded without one")
        return self._find(self.images[image].file)

    @cached_property
    def _find(self) -> Callable[[str], ImageFile]:
        assert self.folder is not None
        return image_finder(self.folder)

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
