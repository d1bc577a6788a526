"""Loading annotated sets."""

from pathlib import Path

from nas.coco import PeopleFile, read_people
from nas.data.annotations import Annotations
from nas.errors import UserError
from nas.files import is_folder
from nas.space.skeleton import Skeleton


def load_annotations(
    path: Path | str,
    images: Path | str | None,
    skeleton: Skeleton | None,
    *,
    complete: bool = True,
    category: str | None = None,
) -> Annotations:
    """Read a COCO keypoint file and map its joints, by name, onto a skeleton.

    Joints that the file lacks become unlabelled (v = 0); joints that the skeleton lacks are dropped. What is
    read otherwise than it is written is logged, one line for each class of it.

    Args:
        path: the annotation file.
        images: the folder that its file names start from; None where the images are not needed.
        skeleton: the wanted keypoints; None for the file's own, which have neither flip pairs nor sigmas.
        complete: see `Annotations`.
        category: which category is meant, by its name, or "all" for every one with the same joints; by
            default the only one that has joints, or the one called person.

    Raises:
        UserError: the file or folder is missing, is not COCO keypoint JSON, contradicts itself, says of
            nobody who is meant, shares no joint with the skeleton, or holds no labelled person.
    """
    folder = None if images is None else Path(images)
    if folder is not None and not is_folder(folder):
        raise UserError(f"{folder}: the image folder does not exist")
    return annotations_of(read_people(Path(path), skeleton, category=category), folder, complete=complete)


def annotations_of(read: PeopleFile, folder: Path | None, *, complete: bool = True) -> Annotations:
    """What was read of a file as a set whose images are in that folder."""
    return Annotations(
        read.path,
        folder,
        read.skeleton,
        read.images,
        read.people,
        category=read.category.id,
        complete=complete,
        joints=read.category.joints,
    )
