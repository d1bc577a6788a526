"""What a model is shown in validation: whole images, or one crop per annotated person."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from nas.arrays import Pixels
from nas.codecs.affine import Affine, crop_affine, image_affine, invert, rescale_source, warp_image
from nas.data.annotations import Annotations
from nas.data.images import ImageStore, read_annotated
from nas.errors import UserError
from nas.pictures import UnreadablePictureError
from nas.runtime.model import PoseModel


@dataclass(frozen=True)
class Input:
    """One network input.

    Args:
        pixels: [H, W, 3] RGB.
        inverse: [2, 3], input px to image px.
        image: position of the image in the annotations.
        person: row of the person that a crop shows; None for whole images.
    """

    pixels: Pixels
    inverse: Affine
    image: int
    person: int | None = None


class KeptInputs:
    """Inputs of one set that several models of one resolution and padding are shown.

    Args:
        budget_mib: memory for them; what does not fit is made anew each time.
    """

    def __init__(self, budget_mib: int) -> None:
        self._left = budget_mib * 2**20
        self._inputs: dict[tuple[tuple[int, int], int], list[Input]] = {}

    def get(self, resolution: tuple[int, int], image: int) -> list[Input] | None:
        """Those of one image; None where they are not kept."""
        return self._inputs.get((resolution, image))

    def add(self, resolution: tuple[int, int], image: int, inputs: list[Input]) -> None:
        """Keep those of one image where there is room."""
        size = sum(item.pixels.nbytes for item in inputs)
        if size <= self._left:
            self._left -= size
            self._inputs[resolution, image] = inputs


class InputSource:
    """Makes inputs of one annotated set for one model, without augmentation.

    Args:
        annotations: the set; crops are its true boxes.
        model: gives task, resolution and padding.
        store: images kept in memory; without one, each is read from its file.
        images: positions of the only images to show, in this order; None for all.
        kept: inputs that were made before, to which new ones are added.
    """

    def __init__(
        self,
        annotations: Annotations,
        model: PoseModel,
        *,
        store: ImageStore | None = None,
        images: Sequence[int] | None = None,
        kept: KeptInputs | None = None,
    ) -> None:
        self._annotations = annotations
        self._resolution = model.resolution
        self._crops = model.task == "crop"
        self._padding = model.padding
        self._store = store
        self._kept = kept or KeptInputs(0)
        self._images = self._shown(images)

    def __len__(self) -> int:
        """How many inputs there are."""
        if not self._crops:
            return len(self._images)
        labelled = self._annotations.people.labelled
        return sum(int(labelled[self._annotations.people_of(image)].sum()) for image in self._images)

    def batches(self, size: int, *, workers: int) -> Iterator[list[Input]]:
        """All inputs in the order of images and people, `size` at a time, read ahead by threads."""
        batch: list[Input] = []
        for item in self._inputs(workers):
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _inputs(self, workers: int) -> Iterator[Input]:
        pending: deque[tuple[int, Future[list[Input]]]] = deque()

        def first() -> list[Input]:
            image, made = pending.popleft()
            inputs = made.result()
            self._kept.add(self._resolution, image, inputs)
            return inputs

        with ThreadPoolExecutor(workers) as pool:
            try:
                for image in self._images:
                    known = self._kept.get(self._resolution, image)
                    if known is None:
                        pending.append((image, pool.submit(self._of_image, image)))
                    while pending and (known is not None or len(pending) > 4 * workers):
                        yield from first()
                    yield from known or ()
                while pending:
                    yield from first()
            finally:
                for _, future in pending:
                    future.cancel()

    def _shown(self, images: Sequence[int] | None) -> Sequence[int]:
        """Of the given images, those that there is something to show of."""
        every: Sequence[int] = range(len(self._annotations.images))
        if self._crops:
            every = self._annotations.labelled_images.tolist()
        if images is None:
            return every
        known = set(every)
        return [image for image in images if image in known]

    def _of_image(self, image: int) -> list[Input]:
        pixels, scale = self._read(image)
        if not self._crops:
            affine = image_affine(self._annotations.images[image].size, self._resolution)
            return [self._warp(pixels, scale, affine, image)]
        people = self._annotations.people
        rows = self._annotations.people_of(image)
        return [
            self._warp(
                pixels,
                scale,
                crop_affine(people.boxes[row], self._resolution, self._padding),
                image,
                int(row),
            )
            for row in np.arange(rows.start, rows.stop)[people.labelled[rows]]
        ]

    def _read(self, image: int) -> tuple[Pixels, tuple[float, float]]:
        try:
            if self._store is not None:
                return self._store.read(image), self._store.scale(image)
            return read_annotated(self._annotations, image), (1.0, 1.0)
        except UnreadablePictureError as error:
            raise UserError(f"{error}; validation needs every image") from None

    def _warp(
        self,
        pixels: Pixels,
        scale: tuple[float, float],
        affine: Affine,
        image: int,
        person: int | None = None,
    ) -> Input:
        seen = warp_image(pixels, rescale_source(affine, scale), self._resolution)
        return Input(seen, invert(affine), image, person)
