"""The data section of a training configuration."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from nas.codecs.affine import PADDING
from nas.data.annotations import Annotations
from nas.data.augment import AugmentConfig
from nas.data.coco import load_annotations
from nas.data.dataset import KeypointDataset
from nas.data.holdout import holdout_ids
from nas.data.paths import FilePath
from nas.errors import UserError
from nas.files import is_folder
from nas.pictures import Orientation
from nas.space.fields import AsTuple, Count, StrictModel
from nas.space.skeleton import Skeleton
from nas.space.specs import Task


class SourceConfig(StrictModel):
    """One annotated set.

    Args:
        annotations: the COCO keypoint file, from `root`.
        images: the folder that its file names start from, from `root`.
        weight: how often its samples are drawn, relative to its size.
        first: only so many images, in the file's order; null for all.
        complete: whether every visible person is annotated (see `nas.data.Annotations`).
        category: which of the file's categories is meant, by its name, or "all" for every one with the same
            joints; null for the only one that has joints, or the one called person.
    """

    annotations: str
    images: str
    weight: float = Field(default=1.0, gt=0)
    first: Count | None = None
    complete: bool = True
    category: str | None = None


class LateAugmentConfig(StrictModel):
    """Another augmentation for the last part of training, nearer to real images (as RTMPose and YOLOX have).

    Args:
        after: the share of the steps after which it holds.
        augment: a preset's name, or a mapping of its fields.
    """

    after: float = Field(ge=0, le=1)
    augment: AugmentConfig

    def first_step(self, steps: int) -> int:
        """The first step (0-based) of so many that it holds for."""
        return round(self.after * steps)


class DataConfig(StrictModel):
    """What is trained and validated on. Paths of sets start from `root`.

    Args:
        root: the folder of all sets; in a recipe of one's own it starts from the recipe's folder.
        train: sets that are trained on together.
        val: sets that are validated on.
        holdout: where `val` names none, the share of every training set's images that is validated on
            instead, and kept out of training and search (by the hash of their ids).
        orientation: "turned" shows every picture as its orientation flag says, as viewers and labelling tools
            do; "stored" is for labels made on the pictures as they are stored.
        augment: a preset's name, or a mapping of its fields.
        late_augment: what holds instead in the last part of training, and of fine-tuning; null for no change.
        rare_poses: how much more often rare poses are drawn: 0 not at all, 1 every kind of pose alike.
        padding: sides of a person crop relative to the person's box.
        cache_mib: memory for decoded images, in MiB; 0 for none, null for half of what is available.
        workers: processes that prepare samples; null for all cores but one.
        bad_share: share of unreadable images at which training stops.
    """

    root: FilePath = "."
    train: Annotated[tuple[SourceConfig, ...], AsTuple, Field(min_length=1)]
    val: Annotated[tuple[SourceConfig, ...], AsTuple] = ()
    holdout: float = Field(default=0.0, ge=0, le=0.5)
    orientation: Orientation = "turned"
    augment: AugmentConfig = AugmentConfig.model_validate("weak")
    late_augment: LateAugmentConfig | None = None
    rare_poses: float = Field(default=0.0, ge=0, le=2)
    padding: float = Field(default=PADDING, gt=0)
    cache_mib: Annotated[int, Field(ge=0)] | None = None
    workers: Annotated[int, Field(ge=0)] | None = None
    bad_share: float = Field(default=0.05, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _one_source_is_a_list(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        single = {key: [data[key]] for key in ("train", "val") if isinstance(data.get(key), dict)}
        return {**data, **single}

    @model_validator(mode="after")
    def _validated_on_one_thing(self) -> "DataConfig":
        if self.val and self.holdout:
            raise ValueError("data.holdout: data.val names what is validated on already; leave one out")
        return self

    @property
    def folder(self) -> Path:
        """What the paths of sets start from."""
        return Path(self.root).expanduser()

    @property
    def validates(self) -> bool:
        """Whether there is anything to validate on."""
        return bool(self.val) or self.holdout > 0

    def load_train(self, skeleton: Skeleton) -> tuple[Annotations, ...]:
        """The training sets, without what is held out. Raises UserError as `load_annotations` does."""
        loaded = self.load(self.train, skeleton)
        if not self.holdout:
            return loaded
        return tuple(
            source.select({image.id for image in source.images} - holdout_ids(source, self.holdout))
            for source in loaded
        )

    def load_val(self, skeleton: Skeleton) -> tuple[Annotations, ...]:
        """The validation sets. Raises UserError as `load_annotations` does, and where there is none."""
        if not self.validates:
            raise UserError(
                "data.val: no set to validate on is named; name one, or keep a share of the training images "
                "for it, such as data.holdout=0.1"
            )
        if self.holdout:
            loaded = self.load(self.train, skeleton)
            return tuple(source.select(holdout_ids(source, self.holdout)) for source in loaded)
        return self.load(self.val, skeleton)

    def training_set(
        self, sources: tuple[Annotations, ...], *, task: Task, largest: tuple[int, int] | None = None
    ) -> KeypointDataset:
        """The augmented, weighted, cached data set over (parts of) the training sets."""
        return KeypointDataset(
            sources,
            task=task,
            augment=self.augment,
            late_augment=None if self.late_augment is None else self.late_augment.augment,
            weights=[source.weight for source in self.train],
            rare_poses=self.rare_poses,
            largest=largest,
            cache_mib=self.cache_mib,
            padding=self.padding,
        )

    def load(self, sources: tuple[SourceConfig, ...], skeleton: Skeleton) -> tuple[Annotations, ...]:
        """Any sets below `root`. Raises UserError as `load_annotations` does."""
        root = self.folder
        if not is_folder(root):
            raise UserError(
                f"data.root: {root} is not a folder; name yours with `overrides` data.root=FOLDER"
            )
        loaded = (_load_source(source, root, skeleton) for source in sources)
        return tuple(replace(annotations, orientation=self.orientation) for annotations in loaded)


def _load_source(source: SourceConfig, root: Path, skeleton: Skeleton) -> Annotations:
    annotations = load_annotations(
        root / source.annotations,
        root / source.images,
        skeleton,
        complete=source.complete,
        category=source.category,
    )
    return annotations if source.first is None else annotations.first(source.first)
