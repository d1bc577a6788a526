"""Which images are to be labelled, and where people are in them."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Flags, Floats
from nas.coco import ImageRecord, PeopleFile, people_boxes, read_coco, read_images, read_people
from nas.coco.categories import categories_of, category_ids, choose_records
from nas.data.check_layout import image_folder
from nas.data.convert.coco_file import image_ids
from nas.data.shards import ImageFile, image_finder
from nas.errors import UserError
from nas.files import require_file
from nas.labels.detections import detected_boxes, is_list
from nas.runtime import PoseModel
from nas.runtime.boxes import listed_boxes
from nas.runtime.sources import Failure, find_pictures

Boxes = Floats

_NOBODY = np.zeros((0, 4))


@dataclass(frozen=True, eq=False)
class LabelImage:
    """An image that is to be labelled.

    Args:
        id: in the file of labels.
        name: there too.
        file: what has its bytes.
        size: (h, w) where that is known beforehand.
        boxes: [N, 4] x, y, width, height of the people in it, as COCO has them; None where they have to be
            found.
    """

    id: int
    name: str
    file: ImageFile
    size: tuple[int, int] | None
    boxes: Boxes | None


@dataclass(frozen=True, eq=False)
class LabelSet:
    """The images that are to be labelled.

    Args:
        images: all of them.
        content: of the COCO file that lists them; None of a folder.
        category: ids of what is a person there; None for everything.
        given: the labels of that file, where poses are to be merged with them.
        rows: of the given people, those whose boxes an image has, by its id; None where its boxes are others.
        called: the name by which its people were asked for.
        failures: folders that cannot be read.
    """

    images: tuple[LabelImage, ...]
    content: Mapping[str, Any] | None = None
    category: frozenset[int] | None = None
    given: PeopleFile | None = None
    rows: Mapping[int, Sequence[int]] | None = None
    called: str | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def digest(self) -> str:
        """Changes with the images and the boxes in them."""
        listed = [
            [image.id, image.name, image.size, None if image.boxes is None else image.boxes.tolist()]
            for image in self.images
        ]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def label_set(
    source: Path,
    model: PoseModel,
    *,
    detector: PoseModel | None = None,
    images: Path | None = None,
    boxes: Path | None = None,
    category: str | None = None,
    merge: bool = False,
    least: float = 0.0,
    say: Callable[[str], None],
) -> LabelSet:
    """The images of a folder or of a COCO file, for a network.

    Args:
        source: the folder, searched with all below it, or the file.
        model: that labels them; one for crops needs boxes or a detector.
        detector: a network for whole images, whose people it is shown.
        images: the folder that the file's names start from; by default looked for around it.
        boxes: people's boxes instead of the file's own: a COCO file, or for a COCO file also a list of
            detections (results of COCO's evaluation).
        category: who is meant in COCO files, as in `nas.coco.choose_category`.
        merge: whether the file's labels are wanted too.
        least: detections of a lower score are nobody.
        say: takes a line about images that a file of boxes does not list.

    Raises:
        UserError: a file or folder is missing or cannot be read, nobody is in it, or what is given does not
            fit the network.
    """
    _require_fit(model, detector, boxes)
    finds = model.task == "image" or detector is not None
    if source.is_dir():
        if images is not None or merge:
            raise UserError(f"{source}: a folder; `images` and `merge` are for the labels of a COCO file")
        return _folder_images(source, boxes, category, finds=finds, say=say)
    if not source.exists():
        raise UserError(f"{source}: there is no such folder or COCO file")
    require_file(source, "COCO")
    content = read_coco(source, lists=("images",))
    records = read_images(content["images"], source)
    folder = _folder(source, content, images)
    meant = _meant(content, source, category)
    given = _given(source, model, category) if merge else None
    rows: Mapping[int, Sequence[int]] | None = None
    found: Mapping[int, Boxes] | None = None
    if given is not None and boxes is None and not finds:
        rows = _rows(given)
        found = {id_: given.people.bbox[list(of)] for id_, of in rows.items()}
    elif not finds:
        found = _file_boxes(boxes or source, records, category, meant, least)
    if found is not None and not any(map(len, found.values())):
        raise UserError(f"{boxes or source}: there is no box of a person in it")
    find = image_finder(folder)
    listed = tuple(
        LabelImage(
            record.id,
            record.file,
            find(record.file),
            record.size,
            None if found is None else found.get(record.id, _NOBODY),
        )
        for record in records
    )
    return LabelSet(listed, content, meant, given, rows, called=category)


def mergeable(given: PeopleFile) -> Flags:
    """[N] which of the given people a pose may change: those that count, and those without any label."""
    people = given.people
    unlabelled = ~(people.keypoints[..., 2] > 0).any(1)
    boxed = (people.bbox[:, 2:] > 0).all(1)
    return np.asarray(~people.crowd & boxed & ((people.num_keypoints > 0) | unlabelled), np.bool_)


def _require_fit(model: PoseModel, detector: PoseModel | None, boxes: Path | None) -> None:
    """Refuse boxes and detectors that the network has no use for."""
    if model.task == "image" and (boxes is not None or detector is not None):
        raise UserError(
            "the network finds people by itself in whole images: leave out `boxes` and `detector`"
        )
    if detector is not None and boxes is not None:
        raise UserError("`boxes` and `detector` both say where people are: leave one out")
    if detector is not None and detector.task == "crop":
        raise UserError("`detector`: this network is for crops, it finds nobody in whole images")


def _given(source: Path, model: PoseModel, category: str | None) -> PeopleFile:
    """The labels of a COCO file, some of whose joints the network knows."""
    given = read_people(source, None, category=category)
    if max(given.skeleton.joints_of(model.skeleton)) < 0:
        raise UserError(
            f"{source}: its joints have none in common with the network's, of skeleton {model.skeleton.name}"
        )
    return given


def _folder_images(
    folder: Path, boxes: Path | None, category: str | None, *, finds: bool, say: Callable[[str], None]
) -> LabelSet:
    pictures, failures = find_pictures([folder])
    known = None
    if boxes is not None:
        require_file(boxes, "COCO")
        if is_list(boxes):
            raise UserError(
                f"{boxes}: detections name images by ids; give the COCO file that has these ids instead of "
                f"the folder {folder}"
            )
        known = listed_boxes(boxes, pictures, category=category, say=say)
    elif category is not None:
        raise UserError("`category` says who is meant in a COCO file: give one, or `boxes`")
    elif not finds:
        raise UserError(
            f"{folder}: the network is for crops of people: give their `boxes`, a COCO file instead of the "
            "folder, or a `detector`"
        )
    names = [picture.name.as_posix() for picture in pictures]
    listed = tuple(
        LabelImage(
            id_,
            name,
            picture.path,
            None,
            None if known is None else _of_corners(known.get(picture, _NOBODY)),
        )
        for id_, name, picture in zip(image_ids(names), names, pictures, strict=True)
    )
    return LabelSet(listed, failures=tuple(failures))


def _folder(source: Path, content: Mapping[str, Any], images: Path | None) -> Path:
    folder = images or image_folder(source, content, source.parent)
    if folder is None:
        raise UserError(f"{source}: the folder of its images is not beside it; name it by `images`")
    if not folder.is_dir():
        raise UserError(f"{folder}: the image folder does not exist")
    return folder


def _rows(given: PeopleFile) -> dict[int, list[int]]:
    """The given people that a pose may change, by their image's id."""
    rows: dict[int, list[int]] = {}
    for row in np.flatnonzero(mergeable(given)).tolist():
        rows.setdefault(given.images[given.people.image[row]].id, []).append(row)
    return rows


def _meant(content: Mapping[str, Any], path: Path, category: str | None) -> frozenset[int] | None:
    return category_ids(choose_records(categories_of(content, path), path, category=category), path)


def _file_boxes(
    path: Path,
    records: Sequence[ImageRecord],
    category: str | None,
    meant: frozenset[int] | None,
    least: float,
) -> dict[int, Boxes]:
    """Boxes by the ids of images."""
    require_file(path, "COCO")
    if is_list(path):
        return detected_boxes(path, {record.id for record in records}, category=meant, least=least)
    boxes = people_boxes(path, category=category)
    found = {record.id: _of_corners(boxes[record.file]) for record in records if record.file in boxes}
    if not found:
        raise UserError(f"{path}: lists none of the {len(records)} images, such as {records[0].file}")
    return found


def _of_corners(corners: NDArray[np.floating]) -> Boxes:
    """COCO's boxes [N, 4] from x0, y0, x1, y1 where 0 is the first pixel's centre."""
    boxes = np.concatenate([corners[:, :2] + 0.5, corners[:, 2:] - corners[:, :2]], axis=1)
    return np.asarray(boxes, np.float64)
