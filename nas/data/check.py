"""Whether a data set is sound: entries, boxes, joints, images, and leakage between splits."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nas.coco import people_of
from nas.data.check_annotations import check_annotations
from nas.data.check_images import check_images
from nas.data.check_layout import SplitFile, find_splits
from nas.data.check_leakage import check_leakage
from nas.data.check_report import CheckReport, Example, FindingCollector, SplitSummary
from nas.data.threads import Progress
from nas.errors import UserError
from nas.pictures import Orientation
from nas.space.skeleton import Skeleton


def check_dataset(
    data: Path,
    images: Path | None = None,
    *,
    skeleton: Skeleton | None = None,
    orientation: Orientation = "turned",
    category: str | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Check a COCO keypoint file, or all splits of a folder.

    Args:
        data: an annotation file or the data set's folder.
        images: the image folder; by default looked for around the annotations.
        skeleton: the joints that the set should have; None where any will do.
        orientation: whether labels are of pictures turned as their orientation flag says, or as stored.
        category: as in `nas.coco.choose_category`.
        progress: called with how many of how many images are done.

    Raises:
        UserError: nothing there, or nothing of it is a COCO keypoint file.
    """
    splits, skipped = find_splits(data, images)
    return check_splits(
        [replace(split, category=category) for split in splits],
        skipped=skipped,
        skeleton=skeleton,
        orientation=orientation,
        progress=progress,
    )


def check_splits(
    splits: Sequence[SplitFile],
    *,
    skipped: Sequence[Path] = (),
    skeleton: Skeleton | None = None,
    orientation: Orientation = "turned",
    progress: Progress | None = None,
) -> CheckReport:
    """Check given annotation files, and every two of them for leakage.

    Args:
        splits: the files.
        skipped: others that lay beside them, for the report.
        skeleton, orientation, progress: as in `check_dataset`.
    """
    findings = FindingCollector()
    for file in skipped:
        findings.add("skipped", Example(file, ""))
    files = [check_annotations(split, skeleton, findings) for split in splits]
    for split in splits:
        try:
            people_of(split.content, split.path, skeleton, category=split.category)
        except UserError as error:
            findings.add("refused", Example(split.path, str(error).removeprefix(f"{split.path}: ")))
        if split.folder is None:
            findings.add("images_unseen", Example(split.path, ""))
    prints = check_images(files, findings, progress, orientation=orientation)
    check_leakage(files, prints, findings)
    summaries = tuple(
        SplitSummary(
            checked.split.path,
            checked.split.folder,
            images=len(checked.split.content["images"]),
            people=checked.people,
            looked_at=sum(image.file in prints for image in checked.images),
            unread=tuple(
                image.name for image in checked.images if image.file is not None and image.file not in prints
            ),
        )
        for checked in files
    )
    return CheckReport(summaries, findings.findings(), orientation)
