"""The embedded default data: a training and a validation set of generated people."""

from pathlib import Path
from typing import NamedTuple

from nas.data.people.generation import Progress, generate
from nas.space.skeleton import Skeleton

TRAIN_IMAGES, VAL_IMAGES = 2550, 305  # about 5,000 and 600 people
_TRAIN_SEED, _VAL_SEED = 1, 2


class DemoPeople(NamedTuple):
    """The annotation files of both sets; the pictures lie in `images` beside the `annotations` folder."""

    train: Path
    val: Path


def generate_demo(
    folder: str | Path,
    *,
    train_images: int = TRAIN_IMAGES,
    val_images: int = VAL_IMAGES,
    skeleton: str | Skeleton = "coco17",
    workers: int = 1,
    progress: Progress | None = None,
) -> DemoPeople:
    """Write `folder/train` and `folder/val`, or reuse them; `progress` counts the images of both together.

    Raises UserError as `generate` does.
    """
    total = train_images + val_images

    def tell(offset: int) -> Progress | None:
        return None if progress is None else lambda done, _: progress(offset + done, total)

    root = Path(folder)
    train = generate(
        root / "train",
        images=train_images,
        seed=_TRAIN_SEED,
        skeleton=skeleton,
        workers=workers,
        progress=tell(0),
    )
    val = generate(
        root / "val",
        images=val_images,
        seed=_VAL_SEED,
        skeleton=skeleton,
        workers=workers,
        progress=tell(train_images),
    )
    return DemoPeople(train, val)
