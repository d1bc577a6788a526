"""Which pictures are meant, and where their drawings go."""

import logging
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from nas.errors import UserError
from nas.files import require_writable, sweep, writing
from nas.pictures import PICTURE_SUFFIXES

_log = logging.getLogger(__name__)

Identity = tuple[int, int]
"""Device and number of a file or folder, the same under all of its names."""


@dataclass(frozen=True)
class Picture:
    """A picture that poses are looked for in.

    Args:
        path: as it is opened and named in messages.
        name: from the folder that was given on; of a file that was given, its own name.
    """

    path: Path
    name: Path


@dataclass(frozen=True)
class Failure:
    """A picture, a folder of pictures, or a video that nothing became of, and why."""

    path: Path | str
    reason: str


def find_pictures(
    given: Iterable[Path], *, drawings: Path | None = None
) -> tuple[list[Picture], list[Failure]]:
    """The pictures of files and folders, in the order given, and folders in which none can be found.

    Folders are searched with all below them; hidden files and folders (`.name`) are left out, and so is the
    folder of the drawings where it is given. Links are followed, but no folder is entered twice. A picture
    that is given twice comes once.

    Raises:
        UserError: a file or folder does not exist, there is no picture at all, or the drawings' folder is one
            of those to be searched.
    """
    resolved = cache(Path.resolve)
    found: dict[Path, Picture] = {}
    failures: list[Failure] = []
    for path in given:
        for picture in _pictures(path, drawings, failures):
            file = resolved(picture.path.parent) / picture.path.name
            former = found.setdefault(file, picture)
            # A file may be given beside its folder: its name from there, the longer one, holds for it.
            if len(picture.name.parts) > len(former.name.parts):
                found[file] = picture
    if not found:
        raise UserError("; ".join(f"{failure.path}: {failure.reason}" for failure in failures[:3]))
    return list(found.values()), failures


def drawing_files(
    pictures: Sequence[Picture], folder: Path, *, suffix: str = ".png", noun: str = "picture"
) -> dict[Picture, Path]:
    """Where each picture's drawing goes: `folder/NAME.png`, whole names with folders and suffix kept.

    Pictures of several given folders may have the same name there: these get a mark of their whole path.

    Args:
        pictures: or other files that are drawn.
        folder: of the drawings.
        suffix: of the drawings.
        noun: what messages call those files.

    Raises:
        UserError: a drawing would take the place of one of the pictures, of what a link leads to, or of
            another drawing.
    """
    counts = Counter(picture.name for picture in pictures)
    files = [
        folder / f"{picture.name}{_mark(picture.path) if counts[picture.name] > 1 else ''}{suffix}"
        for picture in pictures
    ]
    originals = {identity_of(picture.path): picture.path for picture in pictures} | {None: None}
    for picture, file in zip(pictures, files, strict=True):
        if original := originals.get(identity_of(file)):
            raise UserError(
                f"{file}: the drawing of {picture.path} would take the place of the {noun} {original}; "
                "choose another folder for the drawings"
            )
        if file.is_symlink():
            raise UserError(f"{file}: is a link, which a drawing would write behind; remove the link")
    for file, count in Counter(files).items():
        if count > 1:
            raise UserError(f"{file}: {count} {noun}s would be drawn there; give them one after the other")
    return dict(zip(pictures, files, strict=True))


def make_folder(folder: Path) -> None:
    """Make the folder of the drawings. Raises UserError where it is a file, or cannot be written into."""
    if folder.is_file():
        raise UserError(f"{folder}: is a file; the drawings need a folder")
    require_writable(folder)
    with writing(folder):
        sweep(folder)


def identity_of(path: Path) -> Identity | None:
    """Of a file or folder; None where there is none, or it cannot be reached."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _mark(path: Path) -> str:
    return "." + sha256(os.fsencode(path.parent.resolve() / path.name)).hexdigest()[:8]


def _pictures(path: Path, drawings: Path | None, failures: list[Failure]) -> Iterator[Picture]:
    """Those of a file or folder that is given; adds to the failures."""
    if not _is_folder(path):
        yield Picture(path, Path(path.name))
        return
    if drawings is not None and identity_of(path) == identity_of(drawings):
        raise UserError(f"{path}: the drawings cannot go into the folder of the pictures; choose another")
    failed = len(failures)
    below = sorted(_below(path, drawings, failures))
    yield from (Picture(file, file.relative_to(path)) for file in below)
    if not below and len(failures) == failed:
        known = ", ".join(sorted(PICTURE_SUFFIXES))
        failures.append(Failure(path, f"no images in this folder or below it ({known})"))


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such picture or folder") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _below(folder: Path, left_out: Path | None, failures: list[Failure]) -> Iterator[Path]:
    """The pictures in and below a folder.

    Links to folders come last: what can be reached without them keeps its name.
    """
    entered: set[Identity | None] = set()
    drawings = None if left_out is None else identity_of(left_out)
    folders, links = [folder], list[Path]()
    while folders or links:
        current = folders.pop() if folders else links.pop(0)
        if (identity := identity_of(current)) in entered:
            continue
        entered.add(identity)
        try:
            entries = sorted(current.iterdir())
        except OSError as error:
            failures.append(Failure(current, f"the folder cannot be read ({error.strerror})"))
            continue
        if drawings and identity == drawings:
            _tell_left_out(current, entries)
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _leads_to_folder(entry):
                (links if entry.is_symlink() else folders).append(entry)
            elif entry.suffix.lower() in PICTURE_SUFFIXES:
                yield entry


def _tell_left_out(folder: Path, entries: Sequence[Path]) -> None:
    """Say of the folder of the drawings where it holds other pictures too."""
    for entry in entries:
        *former, last = ["", *(suffix.lower() for suffix in entry.suffixes)]
        # A drawing has the suffix of its picture before its own.
        if last in PICTURE_SUFFIXES and not PICTURE_SUFFIXES.intersection(former):
            _log.warning(
                "%s: holds the drawings, its pictures (such as %s) are not searched", folder, entry.name
            )
            return


def _leads_to_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:  # a link to nothing, or to itself
        return False
