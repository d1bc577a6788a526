"""People's boxes of an annotation file, for pictures on the disk."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from nas.coco import people_boxes
from nas.errors import UserError
from nas.runtime.sources import Picture

Boxes = NDArray[np.floating]


@dataclass(frozen=True)
class KnownBoxes:
    """The boxes of people in pictures.

    Args:
        boxes: [N, 4] of every picture that the file lists.
        unlisted: how many pictures it does not list.
        ambiguous: its names that fit several pictures, none of which gets boxes by them.
    """

    boxes: Mapping[Picture, Boxes]
    unlisted: int
    ambiguous: Mapping[str, Sequence[Picture]]


def known_boxes(pictures: Sequence[Picture], boxes: Mapping[str, Boxes]) -> KnownBoxes:
    """Which boxes are whose, by whole relative names.

    A name, such as "cam1/0001.jpg", means the picture whose path ends in it, part by part. Of several names
    that do, the longest is meant; of several pictures, the one of exactly this name in the folder given.

    Args:
        pictures: to look at.
        boxes: [N, 4] by the name of the picture, relative, with slashes.
    """
    names = {PurePosixPath(name).parts: name for name in boxes}
    claims: dict[str, list[Picture]] = defaultdict(list)
    for picture, parts in _ends(pictures, names):
        claims[names[parts]].append(picture)
    found: dict[Picture, Boxes] = {}
    ambiguous: dict[str, Sequence[Picture]] = {}
    for name, claiming in claims.items():
        exact = [picture for picture in claiming if picture.name.as_posix() == name]
        meant = exact if len(exact) == 1 else claiming
        if len(meant) == 1:
            found[meant[0]] = boxes[name]
        else:
            ambiguous[name] = claiming
    return KnownBoxes(found, len(pictures) - len(found), ambiguous)


def listed_boxes(
    path: Path, pictures: Sequence[Picture], *, category: str | None = None, say: Callable[[str], None]
) -> Mapping[Picture, Boxes]:
    """The boxes of people [N, 4] in each picture that a COCO file lists.

    Args:
        path: the file.
        pictures: to look at.
        category: as in `nas.coco.choose_category`.
        say: takes a line about names that fit several pictures, and about pictures that are not listed.

    Raises:
        UserError: the file cannot be read, or lists none of the pictures.
    """
    listed = people_boxes(path, category=category)
    known = known_boxes(pictures, listed)
    for name, several in known.ambiguous.items():
        fitting = ", ".join(str(picture.path) for picture in several[:3])
        say(f"{path}: {name} could be any of {len(several)} images ({fitting}); its boxes are left out")
    if not known.boxes and not known.ambiguous:
        names = ", ".join(list(listed)[:2]) or "no images at all"
        raise UserError(
            f"{path}: lists none of the {len(pictures)} images, such as {pictures[0].path}; it lists {names}"
        )
    if known.unlisted:
        say(f"{path}: has nothing for {known.unlisted} of {len(pictures)} images: nobody is looked for there")
    return known.boxes


def _ends(
    pictures: Iterable[Picture], names: Mapping[tuple[str, ...], str]
) -> Iterable[tuple[Picture, tuple[str, ...]]]:
    """The pictures whose path ends in a name, with the longest such name's parts."""
    lengths = sorted({len(parts) for parts in names if parts}, reverse=True)
    for picture in pictures:
        # Links are kept: people name pictures by the folders that they see.
        parts = Path(os.path.normpath(picture.path.absolute())).parts
        end = next((parts[-length:] for length in lengths if parts[-length:] in names), None)
        if end is not None:
            yield picture, end
