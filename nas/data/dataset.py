"""Annotated photographs as network inputs and training targets."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from nas.codecs import Codec, People, Targets
from nas.codecs.affine import (
    Affine,
    affine_scale,
    apply_affine,
    crop_affine,
    image_affine,
    invert,
    rescale_source,
    warp_image,
)
from nas.data.annotations import Annotations
from nas.data.augment import NO_AUGMENT, UNCHANGED, AugmentConfig, Variation, draw_variation, paint, part_box
from nas.data.batch import Batch, Sample, SampleId, SampleRequest
from nas.data.images import ImageStore, UnreadableImageError
from nas.data.order import SampleOrder
from nas.data.regions import loss_mask
from nas.errors import UserError
from nas.space.arch import Head
from nas.space.heads import Task, head_spec
from nas.space.skeleton import Skeleton

ATTEMPTS = 10
"""Samples that are tried for one request before the images as a whole are held to be unreadable."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A sample's source, image position and, for a crop, row of the person."""

    source: int
    image: int
    person: int | None


class KeypointDataset(Dataset[Sample]):
    """Samples of several annotated sets of one skeleton.

    Task "image" has one sample for each image with a labelled person, task "crop" one for each such person.

    Args:
        sources: the annotated sets.
        task: "image" or "crop".
        augment: how requests with `augment` vary.
        late_augment: how those vary that are `late` as well; None for no difference.
        weights: how often each source is drawn, relative to its size; None for all alike.
        largest: the largest resolution (h, w) that will be asked for: images are kept no larger than that
            takes; None keeps them as they are.
        cache_mib: memory for decoded images; 0 for none, None for half of what is available.
        padding: how much of the surroundings a crop shows: its sides relative to the person's box.
        empty: with task "image", also have the images without labelled people (for evaluation).

    Raises:
        UserError: a source has no image folder, or the sources' skeletons differ.
    """

    def __init__(
        self,
        sources: Sequence[Annotations],
        *,
        task: Task,
        augment: AugmentConfig = NO_AUGMENT,
        late_augment: AugmentConfig | None = None,
        weights: Sequence[float] | None = None,
        largest: tuple[int, int] | None = None,
        cache_mib: int | None = 0,
        padding: float = 1.25,
        empty: bool = False,
    ) -> None:
        self.sources = tuple(sources)
        self.task = task
        self.augment = augment
        self.late_augment = augment if late_augment is None else late_augment
        self.padding = padding
        self.skeleton = _common_skeleton(self.sources)
        self._flip_index = np.array(self.skeleton.flip_index)
        table = [_sample_table(source, task, empty=empty) for source in self.sources]
        counts = [len(part) for part in table]
        self._ends = np.cumsum(counts).tolist()
        self._table = np.concatenate(table)
        self._first_image = np.cumsum([0, *(len(source.images) for source in self.sources)])
        self.order = SampleOrder(counts, weights or [1.0] * len(counts))
        self._store = ImageStore(
            [source.image_path(image) for source in self.sources for image in range(len(source.images))],
            np.array([image.size for source in self.sources for image in source.images], np.int64),
            self._shrink(largest),
            budget_mib=cache_mib,
        )

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, request: SampleRequest) -> Sample:
        """Prepare one sample.

        Raises:
            UserError: an image cannot be read and may not be replaced, or too many in a row cannot be read.
        """
        image = np.empty((*request.resolution, 3), np.uint8)
        id_, people, affine, failures = self._prepare(request, image)
        return Sample(image, self._targets(request, people), id_, invert(affine), failures)

    def batch(self, requests: Sequence[SampleRequest]) -> Batch:
        """Prepare samples of one resolution and head. Raises UserError as `__getitem__` does."""
        first = requests[0]
        if any(request.resolution != first.resolution or request.head != first.head for request in requests):
            raise ValueError("the requests of one batch must agree in resolution and head")
        images = np.empty((len(requests), *first.resolution, 3), np.uint8)
        prepared = [self._prepare(request, image) for request, image in zip(requests, images, strict=True)]
        targets = [
            self._targets(request, sample[1]) for request, sample in zip(requests, prepared, strict=True)
        ]
        return Batch(
            images=torch.from_numpy(images),
            targets={name: torch.from_numpy(np.stack([t[name] for t in targets])) for name in targets[0]},
            ids=tuple(id_ for id_, *_ in prepared),
            inverse=torch.from_numpy(np.stack([invert(affine) for _, _, affine, _ in prepared])),
            failures=tuple(line for *_, failures in prepared for line in failures),
        )

    def requests(self, resolution: tuple[int, int], head: Head | None = None) -> list[SampleRequest]:
        """One unvaried request for each sample, in order: for evaluation."""
        return [
            SampleRequest(index, (), resolution, head, augment=False, replace=False)
            for index in range(len(self))
        ]

    def sample_id(self, index: int) -> SampleId:
        """Where a sample comes from."""
        return self._id(self._place(index))

    def _id(self, place: _Place) -> SampleId:
        source = self.sources[place.source]
        person = None if place.person is None else int(source.people.ids[place.person])
        return SampleId(place.source, source.images[place.image].id, person)

    def _place(self, index: int) -> _Place:
        source = bisect_right(self._ends, index)
        row = int(self._table[index])
        if self.task == "image":
            return _Place(source, row, None)
        return _Place(source, int(self.sources[source].people.image[row]), row)

    def _prepare(
        self, request: SampleRequest, out: NDArray[np.uint8]
    ) -> tuple[SampleId, People, Affine, tuple[str, ...]]:
        """Warp the requested sample, or what replaces it, into `out` [H, W, 3]."""
        rng = np.random.default_rng(request.seed)
        index, failures = request.index, tuple[str, ...]()
        augment = self.late_augment if request.late else self.augment
        variation = draw_variation(augment, rng) if request.augment else UNCHANGED
        for _ in range(ATTEMPTS):
            place = self._place(index)
            position = int(self._first_image[place.source]) + place.image
            try:
                photograph = self._store.read(position)
            except UnreadableImageError as error:
                if not request.replace:
                    raise UserError(f"{error}; restore the image or take it out of the annotations") from None
                failures = (*failures, str(error))
                index = int(rng.integers(len(self)))
                continue
            affine = self._affine(place, request.resolution, variation)
            from_shrunk = rescale_source(affine, self._store.scale(position))
            out[:] = warp_image(photograph, from_shrunk, request.resolution)
            paint(out, variation)
            people = self._people(place, affine, request.resolution, flip=variation.flip)
            return self._id(place), people, affine, failures
        raise UserError(f"{ATTEMPTS} images in a row cannot be read, the first: {failures[0]}")

    def _affine(self, place: _Place, resolution: tuple[int, int], variation: Variation) -> Affine:
        geometry: dict[str, Any] = {
            "scale": variation.scale,
            "rotation": variation.rotation,
            "flip": variation.flip,
            "shift": variation.shift,
        }
        source = self.sources[place.source]
        if place.person is None:
            return image_affine(source.images[place.image].size, resolution, **geometry)
        box = source.people.boxes[place.person]
        if variation.part_anchor is not None:
            box = part_box(source.people.keypoints[place.person], box, variation.part_anchor)
        return crop_affine(box, resolution, self.padding, **geometry)

    def _people(self, place: _Place, affine: Affine, resolution: tuple[int, int], *, flip: bool) -> People:
        source = self.sources[place.source]
        mask = None
        chosen: slice | NDArray[np.int64]
        if place.person is None:
            rows = source.people_of(place.image)
            chosen = rows.start + np.flatnonzero(source.people.labelled[rows])
            mask = loss_mask(source, place.image, affine, resolution)
        else:
            chosen = slice(place.person, place.person + 1)
        keypoints = apply_affine(source.people.keypoints[chosen], affine)
        if flip:
            keypoints = keypoints[:, self._flip_index]
        areas = source.people.areas[chosen] * affine_scale(affine) ** 2
        return People(keypoints, areas, _moved_boxes(source.people.boxes[chosen], affine), mask)

    def _targets(self, request: SampleRequest, people: People) -> Targets:
        if request.head is None:
            return {}
        return _codec(self.skeleton, request.head, request.resolution, request.strides).encode(people)

    def _shrink(self, largest: tuple[int, int] | None) -> NDArray[np.float64]:
        """[all images] by which factor each may be shrunk without losing what the largest input shows."""
        total = int(self._first_image[-1])
        if largest is None:
            return np.ones(total)
        target = np.array(largest)
        needed = np.zeros(total)
        for index, source in enumerate(self.sources):
            first = int(self._first_image[index])
            if self.task == "image":
                sizes = np.array([image.size for image in source.images])
                needed[first : first + len(sizes)] = (target / sizes).min(1)
            else:
                people = source.people
                extents = self.padding * people.bbox[people.labelled][:, [3, 2]]
                np.maximum.at(needed, first + people.image[people.labelled], (target / extents).min(1))
        zoom = max(self.augment.largest_zoom, self.late_augment.largest_zoom)
        return np.where(needed > 0, np.minimum(1, needed * zoom), 1)


@lru_cache(maxsize=256)
def _codec(skeleton: Skeleton, head: Head, resolution: tuple[int, int], strides: tuple[int, ...]) -> Codec:
    codec: Codec = head_spec(head.type).load_codec()(skeleton, resolution, dict(head.options), stride=strides)
    return codec


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


def _sample_table(source: Annotations, task: Task, *, empty: bool) -> NDArray[np.int64]:
    """For each sample the image's position, or the person's row."""
    if task == "crop":
        return np.flatnonzero(source.people.labelled)
    return np.arange(len(source.images)) if empty else source.labelled_images


def _moved_boxes(boxes: NDArray[np.float64], affine: Affine) -> NDArray[np.float64]:
    """Boxes [P, 4] around the moved corners of boxes."""
    linear = affine[:, :2].T
    middle = (boxes[:, :2] + boxes[:, 2:]) @ (linear / 2) + affine[:, 2]
    reach = (boxes[:, 2:] - boxes[:, :2]) @ (np.abs(linear) / 2)
    return np.concatenate([middle - reach, middle + reach], axis=1)
