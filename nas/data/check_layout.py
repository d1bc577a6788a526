"""Where the annotation files and images of a data set lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.coco import read_coco
from nas.errors import UserError
from nas.files import is_file, is_folder

_ANNOTATION_FOLDERS = ("annotations", "annots", "json", ".")
_TRIED_NAMES = 20


@dataclass(frozen=True, eq=False)
class SplitFile:
    """One annotation file as it is, nothing checked but that COCO's lists are there.

    Args:
        path: the file.
        folder: where its images are; None where that is unknown.
        content: what it holds.
        category: which of its categories is meant, as in `nas.coco.choose_category`.
    """

    path: Path
    folder: Path | None
    content: Mapping[str, Any]
    category: str | None = None


def find_splits(data: Path, images: Path | None) -> tuple[tuple[SplitFile, ...], tuple[Path, ...]]:
    """The splits of a data set, and the JSON files beside them that are no COCO keypoint files.

    Args:
        data: an annotation file, or a folder with such files in `annotations/` (or `json/`, or itself).
        images: the image folder; by default looked for around the annotation file: `images/`, or a folder
            named as the end of the file's name (`train2017/` for `person_keypoints_train2017.json`).

    Raises:
        UserError: nothing there, or no file of it is a COCO keypoint file.
    """
    if images is not None and not is_folder(images):
        raise UserError(f"{images}: the image folder does not exist")
    if not is_folder(data):
        content = read_coco(data)
        return (SplitFile(data, images or image_folder(data, content, data.parent), content),), ()
    listings = (sorted((data / name).glob("*.json")) for name in _ANNOTATION_FOLDERS)
    files = next((listing for listing in listings if listing), [])
    splits: list[SplitFile] = []
    skipped: list[Path] = []
    reason = ""
    for file in files:
        try:
            content = read_coco(file)
        except UserError as error:
            skipped.append(file)
            reason = str(error)
            continue
        if _has_keypoints(content):
            splits.append(SplitFile(file, images or image_folder(file, content, data), content))
        else:
            skipped.append(file)
    if not splits:
        found = f"none of its {len(files)} JSON files is one" if files else "it holds no JSON file"
        raise UserError(f"{data}: no COCO keypoint file in it, {found}{f' ({reason})' if reason else ''}")
    return tuple(splits), tuple(skipped)


def _has_keypoints(content: Mapping[str, Any]) -> bool:
    """Whether categories name keypoints, or annotations have some that no category names."""
    entries = (*content["categories"], *content["annotations"])
    return any(isinstance(item, dict) and item.get("keypoints") for item in entries)


def image_folder(file: Path, content: Mapping[str, Any], base: Path) -> Path | None:
    """The folder that holds most of a file's first images; an empty-handed `images/` rather than none."""
    records = (item for item in content["images"][:_TRIED_NAMES] if isinstance(item, dict))
    names = [name for item in records if isinstance(name := item.get("file_name"), str) and name]
    split = file.stem.rpartition("_")[2]
    bases = dict.fromkeys((base, file.parent, file.parent.parent))
    folders = [
        folder
        for place in bases
        for folder in (place / "images" / split, place / split, place / "images", place)
        if is_folder(folder)
    ]
    hits = {folder: sum(is_file(folder / name) for name in names) for folder in folders}
    best = max(folders, key=hits.__getitem__, default=None)
    if best is not None and hits[best]:
        return best
    return next((folder for folder in folders if folder.name == "images"), None)
