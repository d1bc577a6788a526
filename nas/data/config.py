"""The data section of a training configuration."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from nas.data.annotations import Annotations
from nas.data.augment import AugmentConfig
from nas.data.coco import load_annotations
from nas.data.dataset import KeypointDataset
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
    orientation: Orientation = "turned"
    augment: AugmentConfig = AugmentConfig.model_validate("weak")
    late_augment: LateAugmentConfig | None = None
    rare_poses: float = Field(default=0.0, ge=0, le=2)
    padding: float = Field(default=1.25, gt=0)
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

    def load_train(self, skeleton: Skeleton) -> tuple[Annotations, ...]:
        """The training sets. Raises UserError as `load_annotations` does."""
        return self._load(self.train, skeleton)

    def load_val(self, skeleton: Skeleton) -> tuple[Annotations, ...]:
        """The validation sets. Raises UserError as `load_annotations` does, and where none is named."""
        if not self.val:
            raise UserError("data.val: no set to validate on is named")
        return self._load(self.val, skeleton)

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

    def _load(self, sources: tuple[SourceConfig, ...], skeleton: Skeleton) -> tuple[Annotations, ...]:
        root = Path(self.root).expanduser()
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
