"""Where the images and labels of a YOLO set lie: what `data.yaml` states, and what is there."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.coco.values import listed
from nas.documents import read_yaml, shown
from nas.errors import UserError
from nas.files import is_file, is_folder
from nas.pictures import PICTURE_SUFFIXES

_NO_PICTURES = frozenset(("", ".txt", ".yaml", ".yml", ".json", ".xml", ".csv", ".md", ".cache", ".zip"))
"""Endings of files that lie beside images and are none, which is no news."""


@dataclass(frozen=True)
class YoloFiles:
    """The images of one split.

    Args:
        root: the folder that file names start from.
        images: the files.
        reasons: what was left out, one entry for each.
    """

    root: Path
    images: tuple[Path, ...]
    reasons: tuple[str, ...]


def read_facts(source: Path) -> Mapping[Any, Any]:
    """What `data.yaml` says; nothing where a folder has none. Raises UserError: it cannot be read."""
    file = _facts_file(source)
    if is_folder(source) and not is_file(file):
        return {}
    # Classes are named by their numbers.
    facts = read_yaml(file, keys=(str, int))
    if not isinstance(facts, dict):
        raise UserError(f"{file}: expected fields such as 'train' and 'kpt_shape'")
    return facts


def split_files(facts: Mapping[Any, Any], split: str | None, source: Path) -> YoloFiles:
    """The images of a split, by default `train`; all of a folder that states no splits.

    Raises:
        UserError: there is no such split, or it does not lie where it is stated to.
    """
    bases = _bases(facts, source)
    if split is not None and not facts:
        raise UserError(f"{source}: no data.yaml says where its {split!r} lies; leave `split` out")
    split = split or "train"
    stated = facts.get(split) if facts else "."
    if not stated:
        known = [name for name in ("train", "val", "test") if facts.get(name)]
        raise UserError(f"{source}: it has no split {split!r}; it has {', '.join(known) or 'none'}")
    files: list[Path] = []
    reasons: list[str] = []
    for place in stated if isinstance(stated, list) else [stated]:
        if not isinstance(place, str):
            raise UserError(f"{source}: {split!r} must be a folder or a list of folders, got {shown(place)}")
        found = _found(place, bases)
        if found is None:
            missing = bases[0] / place
            raise UserError(f"{source}: split {split!r} lies in {missing}, which does not exist")
        if is_folder(found):
            files += _in_folder(found, reasons)
        elif found.suffix == ".txt":
            files += _in_list(found, bases[0])
        else:
            raise UserError(f"{source}: split {split!r} is {found}, neither a folder nor a list of images")
    different = sorted(set(files))
    if not different:
        raise UserError(f"{source}: split {split!r} holds no image")
    reasons += ["image listed twice, taken once"] * (len(files) - len(different))
    root = bases[0]
    if not all(file.is_relative_to(root) for file in different):
        different = [file.absolute() for file in different]
        root = Path(os.path.commonpath([root.absolute(), *different]))
    return YoloFiles(root, tuple(different), tuple(reasons))


def label_file(image: Path) -> Path:
    """The label file of an image: beside it, or in `labels/` for one in `images/`.

    Raises:
        UserError: there are both, and they differ.
    """
    beside = image.with_suffix(".txt")
    folders = list(image.parts)
    if "images" not in folders[:-1]:
        return beside
    folders[len(folders) - 2 - folders[-2::-1].index("images")] = "labels"
    apart = Path(*folders).with_suffix(".txt")
    if not is_file(beside):
        return apart
    if is_file(apart) and read_text(apart) != read_text(beside):
        raise UserError(f"{image}: it has two label files, which differ: {beside} and {apart}; remove one")
    return beside


def labels_of(images: Sequence[Path], reasons: list[str]) -> list[Path]:
    """The label file of each image; files of labels that belong to no image are counted.

    Raises:
        UserError: two images share a label file.
    """
    labels = [label_file(image) for image in images]
    owners: dict[Path, Path] = {}
    for image, label in zip(images, labels, strict=True):
        if label in owners and is_file(label):
            raise UserError(
                f"{label}: its labels are those of {owners[label].name} and of {image.name} alike; which "
                "picture they belong to cannot be told: rename or remove one"
            )
        owners[label] = image
    # Images of other splits may lie in the same folder: theirs are no lost labels.
    folders = {(image.parent, label.parent) for image, label in zip(images, labels, strict=True)}
    for folder, label_folder in sorted(folders):
        stems = {file.stem for file in _entries(folder) if file.suffix.lower() in PICTURE_SUFFIXES}
        lost = (file for file in _entries(label_folder) if file.suffix == ".txt" and file.stem not in stems)
        reasons += ["text file that belongs to no image, left out" for _ in lost]
    return labels


def read_text(path: Path) -> str:
    """The text of a file, whatever its line ends, without a byte-order mark. Raises UserError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: this is not a text file") from None


def _facts_file(source: Path) -> Path:
    return source / "data.yaml" if is_folder(source) else source


def _bases(facts: Mapping[Any, Any], source: Path) -> tuple[Path, ...]:
    """The folders that stated places start from: `path`, then that of data.yaml."""
    file = _facts_file(source)
    place = facts.get("path") or ""
    if not isinstance(place, str):
        raise UserError(f"{file}: 'path' must be a folder, got {shown(place)}")
    # A path that was true on the machine that wrote it means nothing here.
    stated = (_straight(file.parent / place), file.parent)
    return tuple(dict.fromkeys(base for base in stated if is_folder(base)))


def _found(place: str, bases: Sequence[Path]) -> Path | None:
    """A stated place; `../` is taken off where there is nothing (Roboflow's is meant from another folder)."""
    while True:
        for base in bases:
            if is_file(base / place) or is_folder(base / place):
                return _straight(base / place)
        if not place.startswith("../"):
            return None
        place = place.removeprefix("../")


def _in_folder(folder: Path, reasons: list[str]) -> Iterator[Path]:
    for file in folder.rglob("*"):
        suffix = file.suffix.lower()
        if suffix in PICTURE_SUFFIXES:
            yield file
        elif suffix not in _NO_PICTURES and is_file(file):
            reasons.append(f"{listed([suffix])} file, left out")


def _in_list(file: Path, root: Path) -> Iterator[Path]:
    for line in filter(None, map(str.strip, read_text(file).splitlines())):
        # A leading ./ means "beside the list".
        yield _straight((file.parent if line.startswith("./") else root) / line)


def _straight(path: Path) -> Path:
    """The path without `..`: links are followed then, as what lies above their targets is meant."""
    if ".." not in path.parts:
        return path
    if path.name == "..":
        return Path(os.path.realpath(path))
    return Path(os.path.realpath(path.parent), path.name)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if is_folder(folder) else []
