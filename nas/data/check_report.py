"""What a check of a data set found: classes of problems, how often each, and a few examples."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.data.shards import ImageFile
from nas.documents import shown
from nas.pictures import Orientation

EXAMPLES = 6
"""So many examples of a class are kept."""


@dataclass(frozen=True)
class Kind:
    """A class of findings.

    Args:
        name: what JSON calls it.
        problem: whether it spoils training or evaluation; else it is only worth knowing.
        title: what is the matter.
        advice: what follows from it, or what to do.
    """

    name: str
    problem: bool
    title: str
    advice: str

    @property
    def severity(self) -> str:
        """`problem` or `remark`."""
        return "problem" if self.problem else "remark"


def _kinds(problem: bool, *entries: tuple[str, str, str]) -> dict[str, Kind]:
    return {name: Kind(name, problem, title, advice) for name, title, advice in entries}


KINDS: dict[str, Kind] = _kinds(
    True,
    ("refused", "The loader refuses the file", "Training and validation end with this message."),
    ("categories", "No usable person category", "One must name the 'keypoints' of people, or be chosen."),
    ("skeleton", "Other joints than the skeleton's", "Missing ones count as unlabelled, others are dropped."),
    ("malformed", "Entries that cannot be read", "A field is missing or of the wrong type."),
    ("no_area", "Areas that OKS cannot use", "The segmentation's is taken, or 0.53 of the box."),
    ("segmentation", "Segmentations that cannot be read", "The region is the box."),
    ("far_joint", "Labelled joints at impossible places", "They count as unlabelled."),
    ("duplicate_image_id", "Image ids used twice", "Annotations cannot be told apart."),
    ("duplicate_annotation_id", "Annotation ids used twice", "Evaluation matches people by id."),
    ("duplicate_file", "Image files listed twice", "The image counts double, its people are split."),
    ("unknown_image", "Annotations of unknown images", "Their image is not listed."),
    ("joint_count", "Wrong number of joints", "There must be 3 numbers for each joint of the category."),
    ("visibility", "Visibility outside 0..2", "0 is unlabelled, 1 occluded, 2 visible."),
    ("stated_count", "num_keypoints contradicts the joints", "People of a stated 0 are left out."),
    ("flat_box", "Boxes without extent", "These people are left out of training."),
    ("box_outside", "Boxes outside their image", "There is nothing to crop."),
    ("joint_outside", "Labelled joints outside their image", "They are targets that no network can see."),
    ("duplicate_person", "People annotated twice", "Same image, same joints: each counts double."),
    ("image_missing", "Missing images", "Training replaces them, validation ends."),
    ("image_corrupt", "Images that cannot be decoded", "Training replaces them, validation ends."),
    ("image_size", "Images of another size than stated", "The annotations do not fit the pixels."),
    ("image_turned", "Images whose orientation flag contradicts the stated size", "See `data.orientation`."),
    ("leak_same", "Same image in two splits", "Scores on the one say nothing once the other was trained on."),
    ("leak_name", "Same file name in two splits", "Likely the same; the images could not be compared."),
    ("leak_alike", "Images of two splits that look the same", "Scaled copies, or frames of one video."),
) | _kinds(
    False,
    ("unlabelled", "People without labelled joints", "They are masked out of the loss of whole-image tasks."),
    ("off_box", "People whose joints all lie outside their box", "Its crop may show somebody else."),
    ("crowd_box", "Crowd regions without a segmentation", "Their whole box is masked out."),
    ("box_over_edge", "Boxes that reach beyond their image", "What lies outside is padding in a crop."),
    ("other_category", "Annotations of other categories", "They are ignored."),
    ("image_flag", "Images turned by a flag that no size confirms", "Do labels fit? See `data.orientation`."),
    ("outside_folder", "Images outside the image folder", "The set cannot be moved as one."),
    ("copy", "Same image twice within a split", "It counts double."),
    ("same_id", "Same image id for different images of two splits", "Never merge such files as they are."),
    ("images_unseen", "Images were not looked at", "No folder with them was found: name it."),
    ("skipped", "Files that are no COCO keypoint files", "They were passed over."),
)  # fmt: skip
"""All classes, by name, in the order in which they are reported."""


@dataclass(frozen=True, eq=False)
class ExamplePicture:
    """What to draw of an example.

    Args:
        file: the image.
        people: annotations as the file has them; box and joints are drawn as far as they make sense.
        joints: positions of joints to stress.
    """

    file: ImageFile
    people: tuple[Mapping[str, Any], ...] = ()
    joints: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Example:
    """One case.

    Args:
        file: the annotation file.
        what: what exactly.
        image: the image's id.
        annotation: the annotation's id.
        name: the image's file name.
        pictures: what to look at.
    """

    file: Path
    what: str
    image: Any = None
    annotation: Any = None
    name: str | None = None
    pictures: tuple[ExamplePicture, ...] = ()

    @property
    def label(self) -> str:
        """The image's file name, as it can be printed."""
        return (self.name or "").encode("utf-8", "backslashreplace").decode("utf-8")

    def __str__(self) -> str:
        where = [] if self.annotation is None else [f"annotation {shown(self.annotation)}"]
        if self.image is not None or self.name is not None:
            id_ = "" if self.image is None else shown(self.image)
            where.append(" ".join(part for part in ("image", id_, self.label) if part))
        place = f"{self.file.name}: {', '.join(where)}" if where else self.file.name
        text = f"{place}: {self.what}" if self.what else place
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    def to_json(self) -> dict[str, Any]:
        """Plain data, without pictures."""
        fields = {"image": self.image, "annotation": self.annotation, "image_file": self.name}
        given = {
            name: value if isinstance(value, int | str) else shown(value)
            for name, value in fields.items()
            if value is not None
        }
        return {"file": str(self.file), "what": self.what} | given


@dataclass(frozen=True, eq=False)
class Finding:
    """A class of findings, how often it came, and its first cases."""

    kind: Kind
    count: int
    examples: tuple[Example, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "class": self.kind.name,
            "severity": self.kind.severity,
            "title": self.kind.title,
            "advice": self.kind.advice,
            "count": self.count,
            "examples": [example.to_json() for example in self.examples],
        }


@dataclass(frozen=True)
class SplitSummary:
    """One annotation file.

    Args:
        file: the file.
        folder: where its images are; None where they were not found.
        images: images listed.
        people: annotations of people, crowds included.
        looked_at: images that were decoded.
        unread: names of those that could not be.
    """

    file: Path
    folder: Path | None
    images: int
    people: int
    looked_at: int
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CheckReport:
    """All that a check found, worst first; `orientation` is how the pictures were looked at."""

    splits: tuple[SplitSummary, ...]
    findings: tuple[Finding, ...]
    orientation: Orientation = "turned"

    @property
    def problems(self) -> int:
        """How many cases are problems."""
        return sum(finding.count for finding in self.findings if finding.kind.problem)

    @property
    def remarks(self) -> int:
        """How many cases are only worth knowing."""
        return sum(finding.count for finding in self.findings if not finding.kind.problem)

    @property
    def verdict(self) -> str:
        """One sentence on all of it."""
        if not self.problems:
            return f"No problems, {_count(self.remarks, 'remark')}."
        kinds = sum(finding.kind.problem for finding in self.findings)
        classes = "class" if kinds == 1 else "classes"
        return f"{_count(self.problems, 'problem')} of {kinds} {classes}, {_count(self.remarks, 'remark')}."

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "splits": [
                {
                    "file": str(split.file),
                    "images_folder": None if split.folder is None else str(split.folder),
                    "images": split.images,
                    "people": split.people,
                    "images_decoded": split.looked_at,
                }
                for split in self.splits
            ],
            "problems": self.problems,
            "remarks": self.remarks,
            "findings": [finding.to_json() for finding in self.findings],
        }


class FindingCollector:
    """Collects cases by class."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[Example]] = {}

    def add(self, kind: str, example: Example) -> None:
        """Count a case of a class of `KINDS`; its example is kept while there are few."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        kept = self._examples.setdefault(kind, [])
        if len(kept) < EXAMPLES:
            kept.append(example)

    def findings(self) -> tuple[Finding, ...]:
        """What was collected, in the order of `KINDS`."""
        return tuple(
            Finding(kind, self._counts[name], tuple(self._examples[name]))
            for name, kind in KINDS.items()
            if name in self._counts
        )


def _count(number: int, noun: str) -> str:
    if not number:
        return f"no {noun}s"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
