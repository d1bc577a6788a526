"""Networks to time that need no tracing: ONNX files; and what an architecture's grouping is."""

import hashlib
from pathlib import Path

from nas.codecs.exported import ExportedNetwork
from nas.errors import UserError
from nas.files import require_file
from nas.space.arch import Arch
from nas.space.parts import part
from nas.space.skeleton import Skeleton
from nas.space.specs import HeadSpec
from nas.timing.grouping import PEOPLE, Grouping
from nas.timing.protocol import Network
from nas.timing.session import open_session


def file_network(path: Path) -> Network:
    """An ONNX file; the grouping is timed too where the file's metadata name the arch.

    A file of several images is timed for all of them, one whose batch is open for one.

    Raises UserError where the file cannot be read or is no ONNX model.
    """
    require_file(path, "model")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    exported = ExportedNetwork.of(open_session(content, threads=1, name=str(path)), str(path))
    images = 1 if exported is None else exported.batch or 1
    return Network(
        key=hashlib.sha256(content).hexdigest()[:12],
        name=path.name if images == 1 else f"{path.name} ({images} images)",
        model=path.read_bytes,
        outside=None if exported is None else grouping(exported.arch, exported.skeleton, images=images),
        description=(("file", path.name),),
    )


def grouping(
    arch: Arch, skeleton: Skeleton, *, people: int = PEOPLE, seed: int = 0, images: int = 1
) -> Grouping:
    """The grouping of an architecture's candidates. Raises UserError for a head that is not registered."""
    return Grouping(
        images=images,
        codec=part(HeadSpec, arch.head.type).codec,
        skeleton=skeleton,
        resolution=arch.resolution,
        options=tuple(dict(arch.head.options).items()),
        strides=arch.level_strides,
        people=people,
        seed=seed,
    )
