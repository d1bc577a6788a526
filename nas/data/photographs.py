"""The samples of several annotated sets, and what of a photograph an input shows."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.arrays import Floats, Ints, Pixels
from nas.codecs import People
from nas.codecs.affine import (
    Affine,
    affine_scale,
    apply_affine,
    crop_affine,
    image_box,
    rescale_source,
    warp_image,
)
from nas.data.annotations import Annotations
from nas.data.areas import moved_onto
from nas.data.augment import Variation, change_colours, part_box
from nas.data.batch import SampleId
from nas.data.images import ImageStore
from nas.data.regions import loss_mask
from nas.errors import UserError
from nas.space.skeleton import Skeleton
from nas.space.specs import Task


@dataclass(frozen=True, slots=True)
class SampleOrigin:
    """A sample's source, image position and, for a crop, row of the person."""

    source: int
    image: int
    person: int | None


class Photographs:
    """Samples by index: the images with labelled people, or these people.

    Args:
        sources: the annotated sets, of one skeleton.
        task: "image" or "crop".
        padding: how much of the surroundings a crop shows: its sides relative to the person's box.
        empty: with task "image", also have the images without labelled people.
        largest: the largest input (h, w): images are kept no larger than that takes; None keeps them as they
            are.
        zoom: the strongest enlargement over the whole image or crop.
        tile: the largest side of a mosaic's tile, as a fraction of the input's; 0 where there are no mosaics.
        cache_mib: see `ImageStore`.

    Raises:
        UserError: a source has no image folder, or the sources' skeletons differ.
    """

    def __init__(
        self,
        sources: Sequence[Annotations],
        *,
        task: Task,
        padding: float,
        empty: bool,
        largest: tuple[int, int] | None,
        zoom: float,
        tile: float,
        cache_mib: int | None,
    ) -> None:
        self.sources = tuple(sources)
        self.skeleton = _common_skeleton(self.sources)
        self._task = task
        self._padding = padding
        self._flip_index = np.array(self.skeleton.flip_index)
        table = [_sample_table(source, task, empty=empty) for source in self.sources]
        self.counts = [len(part) for part in table]
        self._ends = np.cumsum(self.counts).tolist()
        self.rows = table
        self._table = np.concatenate(table)
        self._first_image = np.cumsum([0, *(len(source.images) for source in self.sources)])
        self._store = ImageStore(
            [source.image_file(image) for source in self.sources for image in range(len(source.images))],
            np.array([image.size for source in self.sources for image in source.images], np.int64),
            self._shrink(largest, zoom, tile),
            orientations=[source.orientation for source in self.sources for _ in source.images],
            budget_mib=cache_mib,
        )

    def __len__(self) -> int:
        return len(self._table)

    def origin(self, index: int) -> SampleOrigin:
        """Where a sample lies."""
        source = bisect_right(self._ends, index)
        row = int(self._table[index])
        if self._task == "image":
            return SampleOrigin(source, row, None)
        return SampleOrigin(source, int(self.sources[source].people.image[row]), row)

    def sample_id(self, origin: SampleOrigin) -> SampleId:
        """What the set calls it."""
        source = self.sources[origin.source]
        person = None if origin.person is None else int(source.people.ids[origin.person])
        return SampleId(origin.source, source.images[origin.image].id, person)

    def show(self, origin: SampleOrigin, variation: Variation, out: Pixels) -> tuple[People, Affine]:
        """Warp a sample into `out` [H, W, 3]; its people there, and the affine from image px to input px.

        Geometry and colours are varied; patches and mosaics are not this class's.

        Raises:
            UnreadablePictureError: the image cannot be read.
        """
        position = int(self._first_image[origin.source]) + origin.image
        photograph = self._store.read(position)
        resolution = (out.shape[0], out.shape[1])
        affine = self._affine(origin, resolution, variation)
        warp_image(photograph, rescale_source(affine, self._store.scale(position)), resolution, out=out)
        change_colours(out, variation)
        return self._people(origin, affine, resolution, flip=variation.flip), affine

    def _affine(self, origin: SampleOrigin, resolution: tuple[int, int], variation: Variation) -> Affine:
        box, padding = self._view(origin, resolution, variation)
        scale = variation.scale
        shows_part = origin.person is not None and variation.part_anchor is not None
        if variation.area is not None and not shows_part:
            people, rows = self.sources[origin.source].people, self._rows(origin)
            row = rows[int(variation.area.person * len(rows))]
            whole = affine_scale(crop_affine(box, resolution, padding))
            scale = variation.area.zoom(people.areas[row] * whole**2 / (resolution[0] * resolution[1]))
            if origin.person is None:
                box = moved_onto(box, people.boxes[row], np.array(resolution[::-1]) / (whole * scale))
        return crop_affine(
            box,
            resolution,
            padding,
            scale=scale,
            rotation=variation.rotation,
            flip=variation.flip,
            shift=variation.shift,
        )

    def _rows(self, origin: SampleOrigin) -> Ints:
        """The labelled people of a sample."""
        if origin.person is not None:
            return np.array([origin.person])
        source = self.sources[origin.source]
        rows = source.people_of(origin.image)
        return np.asarray(rows.start + np.flatnonzero(source.people.labelled[rows]), np.int64)

    def _view(
        self, origin: SampleOrigin, resolution: tuple[int, int], variation: Variation
    ) -> tuple[Floats, float]:
        """What is shown at scale 1: a box [4] of the image, and the sides shown relative to its own."""
        source = self.sources[origin.source]
        if origin.person is not None:
            box = source.people.boxes[origin.person]
            if variation.part_anchor is not None:
                box = part_box(source.people.keypoints[origin.person], box, variation.part_anchor)
            return box, self._padding
        if variation.cover is None:
            return image_box(source.images[origin.image].size), 1.0
        box = self._tile_box(source, origin.image)
        filled = resolution[::-1] / (box[2:] - box[:2])
        return box, float(filled.min() / filled.max()) ** variation.cover

    def _tile_box(self, source: Annotations, image: int) -> Floats:
        """What a mosaic's tile shows of an image [4]: all of it, unless people there have no labels.

        Then it is the labelled people and some of what surrounds them.
        """
        if source.complete:
            return image_box(source.images[image].size)
        rows = source.people_of(image)
        boxes = source.people.boxes[rows][source.people.labelled[rows]]
        low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
        margin = (self._padding - 1) / 2 * (high - low)
        return np.concatenate([low - margin, high + margin])

    def _people(
        self, origin: SampleOrigin, affine: Affine, resolution: tuple[int, int], *, flip: bool
    ) -> People:
        source = self.sources[origin.source]
        mask = loss_mask(source, origin.image, affine, resolution) if origin.person is None else None
        chosen = self._rows(origin)
        keypoints = apply_affine(source.people.keypoints[chosen], affine)
        if flip:
            keypoints = keypoints[:, self._flip_index]
        areas = source.people.areas[chosen] * affine_scale(affine) ** 2
        return People(keypoints, areas, _moved_boxes(source.people.boxes[chosen], affine), mask)

    def _shrink(self, largest: tuple[int, int] | None, zoom: float, tile: float) -> Floats:
        """[all images] by which factor each may be shrunk without losing what the largest input shows."""
        total = int(self._first_image[-1])
        if largest is None:
            return np.ones(total)
        target = np.array(largest)
        needed = np.zeros(total)
        for index, source in enumerate(self.sources):
            first = int(self._first_image[index])
            if self._task == "image":
                sizes = np.array([image.size for image in source.images])
                needed[first : first + len(sizes)] = (target / sizes).min(1)
                if tile:
                    boxes = np.array([self._tile_box(source, image) for image in source.labelled_images])
                    covering = tile * (target[::-1] / (boxes[:, 2:] - boxes[:, :2])).max(1)
                    np.maximum.at(needed, first + source.labelled_images, covering)
            else:
                people = source.people
                extents = self._padding * people.bbox[people.labelled][:, [3, 2]]
                np.maximum.at(needed, first + people.image[people.labelled], (target / extents).min(1))
        return np.where(needed > 0, np.minimum(1, needed * zoom), 1)


def _common_skeleton(sources: Sequence[Annotations]) -> Skeleton:
    if not sources:
        raise ValueError("a data set needs at least one source")
    skeleton = sources[0].skeleton
    for source in sources:
        if source.skeleton != skeleton:
            raise UserError(
                f"{source.path}: its skeleton {source.skeleton.name} is not {skeleton.name}, "
                f"that of {sources[0].path}; load both with one skeleton"
            )
    return skeleton


def _sample_table(source: Annotations, task: Task, *, empty: bool) -> Ints:
    """For each sample the image's position, or the person's row."""
    if task == "crop":
        return np.flatnonzero(source.people.labelled)
    return np.arange(len(source.images)) if empty else source.labelled_images


def _moved_boxes(boxes: Floats, affine: Affine) -> Floats:
    """Boxes [P, 4] around the moved corners of boxes."""
    linear = affine[:, :2].T
    middle = (boxes[:, :2] + boxes[:, 2:]) @ (linear / 2) + affine[:, 2]
    reach = (boxes[:, 2:] - boxes[:, :2]) @ (np.abs(linear) / 2)
    return np.concatenate([middle - reach, middle + reach], axis=1)
