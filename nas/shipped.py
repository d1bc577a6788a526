"""Files that ship with the package: search spaces, supernets and subnets, found by name."""

from pathlib import Path

from nas.errors import UserError
from nas.files import is_file, is_there

FINDER = "person-finder"
"""The network that ships and finds people for those that see crops."""

_PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str, name: str, suffix: str) -> Path:
    """The shipped file `folder/name+suffix`, in a checkout or in an installed wheel.

    Raises:
        UserError: no such file ships; the message lists those that do.
    """
    path = _root() / folder / f"{name}{suffix}"
    if not is_file(path):
        known = ", ".join(shipped_names(folder, suffix)) or "none"
        raise UserError(f"{name!r} is neither a file nor one of the shipped {folder} ({known})")
    return path


def shipped_names(folder: str, suffix: str) -> tuple[str, ...]:
    """The names that `shipped` knows in a folder, sorted."""
    return tuple(sorted(path.name.removesuffix(suffix) for path in (_root() / folder).glob(f"*{suffix}")))


def locate(folder: str, name_or_path: str | Path, suffix: str) -> Path:
    """The file that a user means: an existing path first, then a shipped name.

    Raises:
        UserError: neither exists.
    """
    path = Path(name_or_path)
    if is_file(path):
        return path
    if looks_like_path(str(name_or_path)):
        raise UserError(f"{path}: no such file")
    return shipped(folder, str(name_or_path), suffix)


def network_file(name_or_path: str | Path) -> Path:
    """The ONNX file of a network that ships, by its name; what exists, or looks like a path, as it is.

    Raises:
        UserError: neither a file nor the name of a network that ships.
    """
    text = str(name_or_path)
    return Path(text) if is_there(Path(text)) or looks_like_path(text) else shipped("subnets", text, ".onnx")


def looks_like_path(text: str) -> bool:
    """Whether a text can only be meant as a path: names of what ships (`person-0.7ms`) have no such form."""
    path = Path(text)
    return path.suffix[1:2].isalpha() or len(path.parts) > 1


def is_shipped(folder: str, path: Path) -> bool:
    """Whether a file is one of a folder's that ship with the package."""
    return path.resolve().parent == (_root() / folder).resolve()


def _root() -> Path:
    # A wheel carries the folders inside the package; a checkout has them beside it.
    inside = _PACKAGE / "_shipped"
    return inside if inside.is_dir() else _PACKAGE.parent
