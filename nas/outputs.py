"""Files that a user names to be written: what somebody else's file holds is not lost by a mistake."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nas.errors import UserError
from nas.files import is_file, is_there

_HEAD = 512
"""Bytes by which a file is known."""


@dataclass(frozen=True)
class OutputKind:
    """What a command writes.

    Args:
        noun: what messages call it.
        begins: with one of these a file of the kind begins, white space left out.
    """

    noun: str
    begins: tuple[bytes, ...]

    def holds(self, path: Path) -> bool:
        """Whether a file is of the kind, as far as its beginning tells; an empty one is of any."""
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
        except OSError:
            return False
        return not head or head.startswith(self.begins)


ONNX_FILE = OutputKind("ONNX file", (b"\x08",))
PAGE = OutputKind("HTML page", (b"<",))
COCO_RESULTS = OutputKind("COCO results file", (b"[",))
PREDICTOR = OutputKind("predictor of milliseconds", (b'{"version"',))
PICTURE = OutputKind(
    "picture", (b"\x89PNG", b"\xff\xd8", b"<", b"%PDF", b"RIFF", b"BM", b"II", b"MM", b"GIF8", b"%!PS")
)
LATENCY_TABLE = OutputKind("latency table", (b'{"fingerprint"',))


def require_replaceable(path: Path, kind: OutputKind, *, inputs: Iterable[Path | None] = ()) -> None:
    """Raise UserError where writing a file would destroy what is read, or what is of another kind.

    Args:
        path: of the file to write; what is of the same kind may be replaced.
        kind: of it.
        inputs: what the same command reads.
    """
    if not is_there(path):
        return
    for source in inputs:
        if source is not None and is_there(source) and path.samefile(source):
            raise UserError(f"{path}: is read here, and would be replaced; name another file to write")
    if is_file(path) and not kind.holds(path):
        raise UserError(f"{path}: exists and is no {kind.noun}; name another file, or remove it")
