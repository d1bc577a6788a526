"""Digests of files and documents: what is known by its content."""

import hashlib
import json
from pathlib import Path
from typing import Any

from nas.errors import UserError


def file_digest(path: Path | str) -> str:
    """Changes with any byte of a file. Raises UserError where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def digest_files(*paths: Path) -> str:
    """12 hex digits that change with any file's content. Raises UserError where one is missing."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(bytes.fromhex(file_digest(path)))
    return digest.hexdigest()[:12]


def json_digest(document: Any) -> str:
    """The first 12 hex digits of the SHA-256 of a document's canonical JSON."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
