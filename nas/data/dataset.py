"""Annotated photographs as network inputs and training targets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import Dataset

from nas.arrays import Floats, Pixels
from nas.codecs import People, Targets
from nas.codecs.affine import PADDING, Affine, invert
from nas.codecs.build import head_codec
from nas.data.annotations import Annotations
from nas.data.augment import NO_AUGMENT, UNCHANGED, AugmentConfig, Variation, draw_variation, dropped_patches
from nas.data.batch import Batch, Sample, SampleId, SampleRequest
from nas.data.mosaic import compose, draw_tiles
from nas.data.order import SampleOrder
from nas.data.patches import blank, without_hidden
from nas.data.photographs import Photographs, SampleOrigin
from nas.data.rarity import rare_pose_shares
from nas.errors import UserError
from nas.pictures import UnreadablePictureError
from nas.space.arch import Head
from nas.space.specs import Task

ATTEMPTS = 10
"""Samples that are tried for one request before the images as a whole are held to be unreadable."""

_codec = lru_cache(maxsize=256)(head_codec)


@dataclass(frozen=True, slots=True)
class _InputContent:
    """What an input shows: which sample, its people (input px), its affine, and what could not be read."""

    origin: SampleOrigin
    people: People
    affine: Affine
    failures: tuple[str, ...]


class KeypointDataset(Dataset[Sample]):
    """Samples of several annotated sets of one skeleton.

    Task "image" has one sample for each image with a labelled person, task "crop" one for each such person.

    Args:
        sources: the annotated sets.
        task: "image" or "crop".
        augment: how requests with `augment` vary.
        late_augment: how those vary that are `late` as well; None for no difference.
        weights: how often each source is drawn, relative to its size; None for all alike.
        rare_poses: how much more often rare poses are drawn: see `nas.data.rarity.rare_pose_shares`.
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
        rare_poses: float = 0.0,
        largest: tuple[int, int] | None = None,
        cache_mib: int | None = 0,
        padding: float = PADDING,
        empty: bool = False,
    ) -> None:
        self.task = task
        self.augment = augment
        self.late_augment = augment if late_augment is None else late_augment
        parts = (self.augment, self.late_augment)
        if task == "crop" and any(part.mosaic for part in parts):
            raise UserError("data.augment.mosaic: only whole images can be put together, not crops of people")
        self._photographs = Photographs(
            sources,
            task=task,
            padding=padding,
            empty=empty,
            largest=largest,
            zoom=max(part.largest_zoom(crops=task == "crop") for part in parts),
            tile=max(part.largest_tile for part in parts),
            cache_mib=cache_mib,
        )
        self.sources = self._photographs.sources
        self.skeleton = self._photographs.skeleton
        counts = self._photographs.counts
        shares = self._shares(rare_poses) if rare_poses else None
        self.order = SampleOrder(counts, weights or [1.0] * len(counts), shares)

    def __len__(self) -> int:
        return len(self._photographs)

    def __getitem__(self, request: SampleRequest) -> Sample:
        """Prepare one sample.

        Raises:
            UserError: an image cannot be read and may not be replaced, or too many in a row cannot be read.
        """
        image = np.empty((*request.resolution, 3), np.uint8)
        shown = self._prepare(request, image)
        targets, *beside = self._targets(request, shown.people)
        return Sample(
            image,
            targets,
            self._photographs.sample_id(shown.origin),
            invert(shown.affine),
            shown.failures,
            tuple(beside),
        )

    def labelled(self, request: SampleRequest) -> tuple[Pixels, People]:
        """The image [H, W, 3] of a request and the people that are labelled in it: for looking at samples.

        Raises UserError as `__getitem__` does.
        """
        image = np.empty((*request.resolution, 3), np.uint8)
        return image, self._prepare(request, image).people

    def batch(self, requests: Sequence[SampleRequest]) -> Batch:
        """Prepare samples of one resolution and the same heads. Raises UserError as `__getitem__` does."""
        first = requests[0]
        if any((r.resolution, r.heads) != (first.resolution, first.heads) for r in requests):
            raise ValueError("the requests of one batch must agree in resolution and heads")
        images = np.empty((len(requests), *first.resolution, 3), np.uint8)
        shown = [self._prepare(request, image) for request, image in zip(requests, images, strict=True)]
        encoded = [
            self._targets(request, sample.people) for request, sample in zip(requests, shown, strict=True)
        ]
        targets, *beside = map(_stacked, zip(*encoded, strict=True))
        return Batch(
            images=torch.from_numpy(images),
            targets=targets,
            ids=tuple(self._photographs.sample_id(sample.origin) for sample in shown),
            inverse=torch.from_numpy(np.stack([invert(sample.affine) for sample in shown])),
            failures=tuple(line for sample in shown for line in sample.failures),
            beside=tuple(beside),
        )

    def requests(self, resolution: tuple[int, int], head: Head | None = None) -> list[SampleRequest]:
        """One unvaried request for each sample, in order: for evaluation."""
        return [
            SampleRequest(index, (), resolution, head, augment=False, replace=False)
            for index in range(len(self))
        ]

    def sample_id(self, index: int) -> SampleId:
        """Where a sample comes from."""
        return self._photographs.sample_id(self._photographs.origin(index))

    def _prepare(self, request: SampleRequest, out: Pixels) -> _InputContent:
        """Warp the requested sample, or what replaces it, into `out` [H, W, 3]."""
        rng = np.random.default_rng(request.seed)
        if not request.augment:
            return self._show(request.index, UNCHANGED, out, rng, replace=request.replace)
        augment = self.late_augment if request.late else self.augment
        variation = draw_variation(augment, rng)
        if variation.mosaic > 1:
            shown = self._mosaic(request, variation.mosaic, augment, out, rng)
        else:
            shown = self._show(request.index, variation, out, rng, replace=request.replace)
        patches = dropped_patches(augment, shown.people, request.resolution, rng)
        if variation.patch is not None:
            patches = [variation.patch, *patches]
        for patch in patches:
            blank(out, patch)
        if self.task == "crop":
            return shown
        return replace(shown, people=without_hidden(shown.people, patches, request.resolution))

    def _mosaic(
        self,
        request: SampleRequest,
        side: int,
        augment: AugmentConfig,
        out: Pixels,
        rng: np.random.Generator,
    ) -> _InputContent:
        """Fill `out` [H, W, 3] with the requested sample and others, each varied by itself.

        Origin and affine are those of the requested one.
        """
        tiles = draw_tiles(request.resolution, side, rng)
        indices = self.order.draw(len(tiles), rng)
        own = int(rng.integers(len(tiles)))
        indices[own] = request.index
        parts = []
        for tile, index in zip(tiles, indices.tolist(), strict=True):
            variation = replace(draw_variation(augment, rng), cover=float(rng.random()))
            if variation.area is not None:
                share = tile.of(out).size / out.size
                variation = replace(
                    variation, area=replace(variation.area, share=variation.area.share / share)
                )
            parts.append(self._show(index, variation, tile.of(out), rng, replace=request.replace))
        affine = parts[own].affine.copy()
        affine[:, 2] += tiles[own].left, tiles[own].top
        people = compose(
            [(tile, part.people) for tile, part in zip(tiles, parts, strict=True)], request.resolution
        )
        return _InputContent(
            parts[own].origin, people, affine, tuple(line for part in parts for line in part.failures)
        )

    def _show(
        self,
        index: int,
        variation: Variation,
        out: Pixels,
        rng: np.random.Generator,
        *,
        replace: bool,
    ) -> _InputContent:
        """Warp a sample, or what replaces it, into `out` [H, W, 3]."""
        failures = tuple[str, ...]()
        for _ in range(ATTEMPTS):
            origin = self._photographs.origin(index)
            try:
                people, affine = self._photographs.show(origin, variation, out)
            except UnreadablePictureError as error:
                if not replace:
                    raise UserError(f"{error}; restore the image or take it out of the annotations") from None
                failures = (*failures, str(error))
                index = int(rng.integers(len(self)))
            else:
                return _InputContent(origin, people, affine, failures)
        raise UserError(f"{ATTEMPTS} images in a row cannot be read, the first: {failures[0]}")

    def _shares(self, rare_poses: float) -> Floats:
        """[all samples] how often each is drawn; an image as often as its people on average."""
        shares = []
        for source, rows, people in zip(
            self.sources, self._photographs.rows, rare_pose_shares(self.sources, rare_poses), strict=True
        ):
            if self.task == "image":
                labelled, count = source.people.labelled, len(source.images)
                total = np.bincount(source.people.image[labelled], people[labelled], minlength=count)
                number = np.bincount(source.people.image[labelled], minlength=count)
                people = np.where(number, total, 1.0) / np.maximum(number, 1)
            shares.append(people[rows] / people[rows].mean() if len(rows) else people[rows])
        return np.concatenate(shares)

    def _targets(self, request: SampleRequest, people: People) -> list[Targets]:
        """Those of every head that is asked for; none at all for no head."""
        codecs = (
            _codec(head, self.skeleton, resolution=request.resolution, strides=strides)
            for head, strides in request.heads
        )
        return [codec.encode(people) for codec in codecs] or [{}]


def _stacked(targets: Sequence[Targets]) -> dict[str, torch.Tensor]:
    """One head's targets of several samples, each [B, ...]."""
    return {name: torch.from_numpy(np.stack([of_one[name] for of_one in targets])) for name in targets[0]}
