"""CrowdPose: nearly COCO; areas are missing, and sometimes counts and the joints' names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.arrays import Floats
from nas.coco import AREA_OF_BOX, choose_category, read_coco, read_images
from nas.coco.categories import categories_of, choose_records, file_skeleton, map_joints
from nas.coco.person import Person, PersonReader, person_area
from nas.coco.segmentation import Segmentation, read_segmentation
from nas.coco.values import EntryError, Record
from nas.data.convert.coco_file import Conversion, check_files, person_category, shared_joints
from nas.documents import shown
from nas.errors import UserError
from nas.space.skeleton import Skeleton


def convert_crowdpose(
    source: Path, *, skeleton: Skeleton | None = None, category: str | None = None
) -> Conversion:
    """A CrowdPose file, or any COCO keypoint file, with all that the loader needs; everything else stays.

    An area is added where there is none that can be used: the segmentation's, else 0.53 of the box, as
    CrowdPose's evaluation has it.

    Args:
        source: the annotation file.
        skeleton: the wanted joints; by default the file's own, or CrowdPose's 14 where it names none.
        category: as in `nas.coco.choose_category`; several become one.

    Raises:
        UserError: no such file, an entry that cannot be read, or two images of the same file.
    """
    content = read_coco(source, lists=("images", "annotations"))
    rows, listed = content["annotations"], categories_of(content, source)
    chosen = choose_category(listed, source, category=category, skeleton=_unnamed(rows, skeleton))
    own = file_skeleton(str(source), chosen.joints)
    wanted = skeleton or own
    mapping = shared_joints(own, wanted, source)
    images = read_images(content["images"], source)
    check_files(((image.file, f"image {image.id}") for image in images), source)
    sizes = {image.id: image.size for image in images}
    reader = PersonReader(own.keypoints, sizes)
    annotations, counts = [], {"box": 0, "segmentation": 0, "other": 0}
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise UserError(f"{source}: annotations[{index}] is not an object")
        row = {"category_id": chosen.id, "iscrowd": 0, **row}
        if not chosen.holds(row):
            counts["other"] += 1
            continue
        person = _person(reader, row, source)
        row["category_id"] = chosen.id
        if person.area is None and person.bbox is not None:
            region = _region(row, person, sizes)
            counts["segmentation" if region is not None and region.area > 0 else "box"] += 1
            row["area"] = round(person_area(person.bbox, region), 3)
        annotations.append(row | _keypoints(row, person, own, wanted))
    remarks = {
        "box": f"area added as {AREA_OF_BOX} of the box",
        "segmentation": "area added as that of the segmentation",
        "other": "annotations of other categories left out",
    }
    categories = [_category(listed, source, category, wanted, chosen.id)]
    return Conversion(
        content | {"annotations": annotations, "categories": categories},
        (*mapping, *(f"{text} ({counts[kind]:,})" for kind, text in remarks.items() if counts[kind])),
    )


def _unnamed(rows: Sequence[Any], skeleton: Skeleton | None) -> Skeleton:
    """What the joints are where no category names them: the wanted ones if they are as many."""
    own = Skeleton.load("crowdpose14")
    found = (row.get("keypoints") for row in rows if isinstance(row, dict))
    first = next((joints for joints in found if isinstance(joints, list) and joints), [])
    return skeleton if skeleton is not None and len(first) == 3 * len(skeleton) else own


def _person(reader: PersonReader, row: Record, source: Path) -> Person:
    person, faults = reader.read(row)
    for fault in faults:
        if fault.fatal:
            raise UserError(f"{source}: annotation {shown(row.get('id'))}: {fault.what}")
    return person


def _region(row: Record, person: Person, sizes: Mapping[int, tuple[int, int]]) -> Segmentation | None:
    if person.image is None:
        return None
    try:
        return read_segmentation(row.get("segmentation"), sizes[person.image])
    except EntryError:
        return None


def _keypoints(row: Record, person: Person, own: Skeleton, wanted: Skeleton) -> dict[str, Any]:
    """The keypoints of the wanted skeleton and their count; what the row has already is left as it is."""
    if not row.get("keypoints") or person.keypoints is None:
        return {"num_keypoints": 0}
    if own.keypoints == wanted.keypoints:
        return {"num_keypoints": person.labelled} if person.stated is None else {}
    mapped: Floats = map_joints(person.keypoints, own, wanted)
    flat = [value for x, y, v in mapped.tolist() for value in (x, y, int(v))]
    return {"keypoints": flat, "num_keypoints": int((mapped[:, 2] > 0).sum())}


def _category(
    categories: Sequence[Any], source: Path, category: str | None, wanted: Skeleton, id_: int
) -> dict[str, Any]:
    """One category of the wanted joints; the file's own where it is that already."""
    chosen = choose_records(categories, source, category=category)
    own = dict(chosen[0]) if chosen else {}
    if len(chosen) == 1 and own.get("keypoints") == list(wanted.keypoints):
        return own
    return own | person_category(wanted) | {"id": id_}
