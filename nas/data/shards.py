"""Images in shards: uncompressed tar files, as WebDataset has them, for sets of very many small files.

Any tool that writes tar files makes shards; a member's name is the image's file name in the annotations.
Images are read at their places in the shards, in any order, so that shards change nothing about training.
"""

import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from posixpath import normpath

from nas.errors import UserError
from nas.files import new_folder

MIB = 2**20


@dataclass(frozen=True, slots=True)
class ShardMember:
    """One file inside a shard.

    Args:
        shard: the tar file.
        name: of the member.
        offset, size: where its bytes lie.
    """

    shard: Path
    name: str
    offset: int
    size: int

    def read_bytes(self) -> bytes:
        """The content; less than `size` bytes where the shard is cut short. Raises OSError."""
        with self.shard.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)

    def __str__(self) -> str:
        return f"{self.shard}/{self.name}"


ImageFile = Path | ShardMember
"""What has an image's bytes."""


def shards_of(folder: Path) -> tuple[Path, ...]:
    """The shards in a folder, by name; none in a folder of plain files."""
    return tuple(sorted(folder.glob("*.tar")))


def members_of(shards: Iterable[Path]) -> Mapping[str, ShardMember]:
    """The files in all shards, by name. Raises UserError for no tar file, and for a name that comes twice."""
    found: dict[str, ShardMember] = {}
    for shard in shards:
        for member in _index(shard, shard.stat().st_mtime_ns):
            first = found.setdefault(member.name, member)
            if first is not member:
                raise UserError(f"{member}: {first.shard.name} holds an image of this name, too")
    return found


def image_finder(folder: Path) -> Callable[[str], ImageFile]:
    """Where the image of a name lies in a folder: in one of its shards, else as a file of its own."""
    members = members_of(shards_of(folder))
    return lambda name: members.get(name) or folder / name


@lru_cache(maxsize=4096)
def _index(shard: Path, modified: int) -> tuple[ShardMember, ...]:
    """A shard's files; `modified` is its time: one that was written anew is not taken for the old one."""
    try:
        with tarfile.open(shard, "r:") as archive:
            return tuple(
                ShardMember(shard, normpath(entry.name), entry.offset_data, entry.size)
                for entry in archive
                if entry.isfile()
            )
    except (OSError, tarfile.TarError) as error:
        raise UserError(f"{shard}: cannot be read as an uncompressed tar file ({error})") from None


def write_shards(
    files: Sequence[tuple[str, Path]],
    folder: Path,
    *,
    largest_mib: float = 256,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, ...]:
    """Pack files into shards 000000.tar, 000001.tar, ...; the folder appears once all of them are complete.

    Args:
        files: the name in the annotations and the file of each image.
        folder: the new folder.
        largest_mib: of a shard's images, unless one image alone is larger.
        progress: called with the number of files packed so far, and of all.

    Raises:
        UserError: the folder exists, or an image cannot be read or a shard written.
    """
    if folder.exists():
        raise UserError(f"{folder}: exists already; name a new folder")
    with new_folder(folder) as unfinished:
        packed = 0
        for number, part in enumerate(_parts(files, largest_mib * MIB)):
            with tarfile.open(unfinished / f"{number:06}.tar", "w") as archive:
                for name, file in part:
                    entry, content = tarfile.TarInfo(normpath(name)), _content(file)
                    entry.size = len(content)
                    archive.addfile(entry, BytesIO(content))
            packed += len(part)
            if progress is not None:
                progress(packed, len(files))
    return shards_of(folder)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); no shards were written") from None


def _parts(files: Sequence[tuple[str, Path]], most: float) -> Iterator[list[tuple[str, Path]]]:
    """The files in order, so many at a time as stay within `most` bytes."""
    part: list[tuple[str, Path]] = []
    total = 0
    for name, file in files:
        size = file.stat().st_size if file.is_file() else 0
        if part and total + size > most:
            yield part
            part, total = [], 0
        part.append((name, file))
        total += size
    if part:
        yield part
