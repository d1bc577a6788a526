"""Labels of a set of images, from the first image to the file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2

from nas.arrays import Pixels
from nas.data.convert import Conversion, write_coco
from nas.data.images import decode
from nas.digests import file_digest
from nas.errors import UserError
from nas.labels.counts import LabelReport
from nas.labels.document import merged_document, new_document
from nas.labels.images import LabelImage, LabelSet
from nas.labels.labeller import Labeller
from nas.labels.poses import PoseFile
from nas.labels.settings import MergeSettings
from nas.pictures import UnreadablePictureError, read_picture
from nas.runtime.sources import Failure

INFO = "labelled_by"
"""The field of a file's `info` that lists the networks which labelled it."""

Progress = Callable[[int, int], None]


def label(
    listed: LabelSet,
    labeller: Labeller,
    output: Path,
    *,
    merge: MergeSettings | None = None,
    inputs: Mapping[str, Path],
    progress: Progress | None = None,
) -> LabelReport:
    """Write a COCO file of a network's poses.

    The poses found so far stand in `output` with `.part` added, where the same work goes on after it was
    stopped.

    Args:
        listed: the images.
        labeller: finds the poses in them.
        output: the file, which must not exist.
        merge: how poses are merged with the given labels of `listed`; None for poses alone.
        inputs: the files that it is made of by their kind, `model` among them; named in the result by their
            content.
        progress: called with how many of how many images are done.

    Raises:
        UserError: the output exists, no image can be read, nobody is found, or the disk refuses.
    """
    require_new(output)
    origin = {kind: {"file": path.name, "sha256": file_digest(path)} for kind, path in sorted(inputs.items())}
    settings = labeller.settings
    seen_by = {"views": settings.to_json()["views"], "min_box": settings.min_box}
    head = {"files": origin, **seen_by, "orientation": settings.orientation, "images": listed.digest}
    part = PoseFile(output.with_name(f"{output.name}.part"), head, joints=len(labeller.model.skeleton))
    with part.open():
        failures = [*listed.failures, *_find(listed.images, labeller, part, progress)]
    if not part.found:
        part.path.unlink(missing_ok=True)
        raise UserError(_none_read(failures))
    skeleton = labeller.model.skeleton
    if merge is None:
        content, counts = new_document(listed, part.found, skeleton, settings)
    else:
        content, counts = merged_document(listed, part.found, skeleton, settings, merge)
    report = LabelReport(
        output, merge is not None, len(part.found), counts.people, counts.joints, tuple(failures)
    )
    if not report.people["labelled"]:
        raise UserError(
            f"{output}: nothing was written; no pose has a score of {settings.min_score:g} and a joint of "
            f"{settings.min_keypoint:g}: lower `min_score` or `min_keypoint`"
        )
    content["info"] = _info(listed, origin, labeller, merge, report)
    write_coco(Conversion(content), output, category=None if merge is None else listed.called)
    part.path.unlink(missing_ok=True)
    return report


def require_new(output: Path) -> None:
    """Raise UserError where there is something at `output`: labels may have been corrected by hand since."""
    if output.is_symlink() or output.exists():
        raise UserError(f"{output}: exists already; name a new file as `output`, or remove it")
    if output.suffix != ".json":
        raise UserError(f"{output}: `output` is the name of a .json file")


def _find(
    images: Sequence[LabelImage], labeller: Labeller, part: PoseFile, progress: Progress | None
) -> list[Failure]:
    """Add the poses of all images that have none yet; those that could not be read, and why."""
    failures: list[Failure] = []
    for done, image in enumerate(images, start=1):
        if image.id not in part.found:
            try:
                found = labeller(image, _pixels(image, labeller))
            except UnreadablePictureError as error:
                failures.append(Failure(Path(str(error.path)), error.reason))
            except (UserError, cv2.error, MemoryError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                failures.append(Failure(Path(str(image.file)), reason))
            else:
                part.add(image.id, found)
        if progress is not None:
            progress(done, len(images))
    return failures


def _none_read(failures: Sequence[Failure]) -> str:
    first = f"{failures[0].path}: {failures[0].reason}"
    return first if len(failures) == 1 else f"none of {len(failures)} images can be read; the first: {first}"


def _pixels(image: LabelImage, labeller: Labeller) -> Pixels:
    orientation = labeller.settings.orientation
    if image.size is None:
        return read_picture(image.file, orientation=orientation)
    return decode(image.file, image.size, orientation=orientation)


def _info(
    listed: LabelSet,
    origin: Mapping[str, Any],
    labeller: Labeller,
    merge: MergeSettings | None,
    report: LabelReport,
) -> dict[str, Any]:
    """What the file says about how it came to be; what the given one says stays in it."""
    given = (listed.content or {}).get("info") if merge is not None else None
    info = dict(given) if isinstance(given, dict) else {}
    former = info.get(INFO)
    entry = {
        **origin,
        "skeleton": labeller.model.skeleton.name,
        "settings": labeller.settings.to_json(),
        "merge": None if merge is None else merge.to_json(),
        "images": report.images,
        "people": dict(report.people),
        "joints": {joint: dict(counts) for joint, counts in report.joints.items()},
    }
    return {**info, INFO: [*(former if isinstance(former, list) else []), entry]}
