"""The formats that can be converted, under one function."""

from pathlib import Path

from nas.data.convert.coco_file import Conversion
from nas.data.convert.crowdpose import convert_crowdpose
from nas.data.convert.cvat import convert_cvat
from nas.data.convert.mpii import convert_mpii
from nas.data.convert.yolo import convert_yolo
from nas.data.threads import Progress
from nas.errors import UserError
from nas.files import is_folder, is_there
from nas.space.skeleton import Skeleton

_OPTIONS = {
    "mpii": ("images",),
    "crowdpose": ("category",),
    "yolo": ("split", "category"),
    "cvat": ("category",),
}

FORMATS = ("mpii", "crowdpose", "yolo", "cvat")


def convert(
    source: Path,
    *,
    format_: str,
    images: Path | None = None,
    skeleton: Skeleton | None = None,
    split: str | None = None,
    category: str | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """A source of one of `FORMATS` as the content of a COCO keypoint file; see the formats' own functions.

    Raises:
        UserError: the source is not of the format, or something is stated that the format does not know.
    """
    stated = {"images": images, "split": split, "category": category}
    for option, value in stated.items():
        if value is not None and option not in _OPTIONS.get(format_, ()):
            raise UserError(f"`{option}` means nothing for `format_` {format_}")
    if not is_there(source):
        raise UserError(f"{source}: it does not exist")
    if is_folder(source) and format_ != "yolo":
        raise UserError(f"{source}: a folder; {format_} is converted from its annotation file")
    if format_ == "mpii":
        return convert_mpii(source, images, skeleton=skeleton, progress=progress)
    if format_ == "crowdpose":
        return convert_crowdpose(source, skeleton=skeleton, category=category)
    if format_ == "cvat":
        return convert_cvat(source, skeleton=skeleton, category=category)
    if format_ == "yolo":
        return convert_yolo(source, skeleton=skeleton, split=split, category=category, progress=progress)
    raise UserError(f"`format_` {format_}: unknown; known: {', '.join(FORMATS)}")
