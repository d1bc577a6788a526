"""CVAT for images 1.1: XML with skeletons, or with sets of points in a stated order.

A skeleton's joint that is `outside` is unlabelled, one that is `occluded` is v = 1. A box with the same group
as a skeleton is that person's box. Format: https://docs.cvat.ai/docs/manual/advanced/xml_format
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from nas.data.convert.coco_file import (
    Converted,
    check_shared,
    extent_box,
    image_entry,
    image_ids,
    left_out,
    map_joints,
    person_category,
    person_entry,
)
from nas.errors import UserError
from nas.space.skeleton import Skeleton


def convert_cvat(source: Path, *, skeleton: Skeleton | None = None, category: str | None = None) -> Converted:
    """A CVAT export as a COCO file.

    Args:
        source: `annotations.xml`.
        skeleton: the wanted joints, matched by name; for sets of points their names in order. By default the
            export's own.
        category: the label that is people; by default `person`, or the only one with joints.

    Raises:
        UserError: not such an export, it declares a document type, or its joints contradict each other.
    """
    root = _parse(source)
    label = _person_label(root, category, source)
    own = _joints(root, label, skeleton, source)
    wanted = skeleton or own
    check_shared(own, wanted, source)
    frames = root.findall("image")
    if not frames:
        if root.findall("track"):
            raise UserError(f"{source}: it holds tracks of a video; export it as 'CVAT for images 1.1'")
        raise UserError(f"{source}: it holds no images")
    names = [_text(frame, "name", source) for frame in frames]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    reasons: list[str] = []
    for frame, name, id_ in zip(frames, names, image_ids(names), strict=True):
        size = (int(_number(frame, "height", source)), int(_number(frame, "width", source)))
        images.append(image_entry(id_, name, size))
        boxes = _group_boxes(frame, source)
        for shape in frame:
            if shape.get("label") != label:
                reasons.append("shape of another label, left out")
            elif shape.tag not in ("skeleton", "points"):
                if _group(shape) is None or shape.tag != "box":
                    reasons.append(f"{shape.tag} that belongs to no skeleton, left out")
            else:
                keypoints = _keypoints(shape, own, f"{source}: image {name!r}")
                box = boxes.get(_group(shape) or "") or extent_box(keypoints, size)
                if box is None:
                    reasons.append("person without a joint inside the image, left out")
                    continue
                mapped = map_joints(keypoints, own, wanted)
                annotations.append(person_entry(len(annotations) + 1, id_, mapped, bbox=box))
    content = {"images": images, "annotations": annotations, "categories": [person_category(wanted)]}
    folder = source.parent / "images"
    return Converted(content, left_out(reasons), folder if folder.is_dir() else None)


class _PlainTree(ElementTree.TreeBuilder):
    """Refuses a document type: its entities can name files or grow without bound, and exports have none."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise UserError("it declares a document type, which a CVAT export does not")


def _parse(source: Path) -> Element:
    try:
        root = ElementTree.parse(source, ElementTree.XMLParser(target=_PlainTree())).getroot()
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror})") from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{source}: cannot be read as XML: {error}") from None
    if root is None or root.tag != "annotations":
        raise UserError(f"{source}: not a CVAT export, its root is no 'annotations'")
    return root


def _labels(root: Element) -> Iterator[tuple[str, str | None, str | None]]:
    """Name, type and parent of each label that the export declares."""
    meta = root.find("meta")
    for label in () if meta is None else meta.iter("label"):
        yield label.findtext("name", ""), label.findtext("type"), label.findtext("parent")


def _person_label(root: Element, category: str | None, source: Path) -> str:
    """The label that is people: of those with joints the named one, `person`, or the only one."""
    shapes = (shape for frame in root.findall("image") for shape in frame)
    found = {shape.get("label", "") for shape in shapes if shape.tag in ("skeleton", "points")}
    found |= {name for name, kind, _ in _labels(root) if kind == "skeleton"}
    wanted = category or "person"
    if wanted in found:
        return wanted
    if category is None and len(found) == 1:
        return next(iter(found))
    if not found and root.findall("image"):
        raise UserError(f"{source}: it holds neither skeletons nor points")
    if not found:
        return wanted
    raise UserError(
        f"{source}: no label with joints is called {wanted!r}; name one with --category: "
        f"{', '.join(sorted(found))}"
    )


def _joints(root: Element, label: str, skeleton: Skeleton | None, source: Path) -> Skeleton:
    """The joints as the export declares them, else in the order in which they come; of points, the given."""
    names = [name for name, _, parent in _labels(root) if parent == label]
    used = [
        point.get("label", "")
        for frame in root.findall("image")
        for shape in frame.findall("skeleton")
        if shape.get("label") == label
        for point in shape.findall("points")
    ]
    names = list(dict.fromkeys([*names, *used]))
    if names:
        return Skeleton(name=str(source), keypoints=tuple(names), flip_pairs=(), sigmas=())
    if skeleton is None:
        raise UserError(f"{source}: its points have no names; say what they are, in order, with --skeleton")
    return skeleton


def _keypoints(shape: Element, own: Skeleton, where: str) -> NDArray[np.float64]:
    keypoints = np.zeros((len(own), 3))
    if shape.tag == "skeleton":
        for point in shape.findall("points"):
            places = _places(point, where)
            if point.get("outside") != "1":
                if len(places) != 1:
                    raise UserError(f"{where}: joint {point.get('label')!r} has {len(places)} places")
                keypoints[own.index(point.get("label", ""))] = (*places[0], _visibility(point))
        return keypoints
    places = _places(shape, where)
    if len(places) != len(own):
        raise UserError(f"{where}: {len(places)} points where the skeleton {own.name} has {len(own)} joints")
    keypoints[:, :2] = places
    keypoints[:, 2] = _visibility(shape)
    return keypoints


def _visibility(shape: Element) -> int:
    return 1 if shape.get("occluded") == "1" else 2


def _places(shape: Element, where: str) -> list[tuple[float, float]]:
    """The points `x,y;x,y` of a shape."""
    try:
        pairs = [tuple(map(float, pair.split(","))) for pair in shape.get("points", "").split(";")]
        if any(len(pair) != 2 for pair in pairs) or not np.isfinite(pairs).all():
            raise ValueError
    except ValueError:
        raise UserError(f"{where}: the points {shape.get('points')!r} are no pairs of numbers") from None
    return [(x, y) for x, y in pairs]


def _group(shape: Element) -> str | None:
    """The group of a shape; 0 is none."""
    group = shape.get("group_id")
    return None if group in (None, "", "0") else group


def _group_boxes(frame: Element, source: Path) -> dict[str, list[float]]:
    """The boxes of groups: x, y, width, height."""
    boxes = {}
    for box in frame.findall("box"):
        group = _group(box)
        if group is not None:
            x0, y0, x1, y1 = (_number(box, side, source) for side in ("xtl", "ytl", "xbr", "ybr"))
            boxes[group] = [x0, y0, x1 - x0, y1 - y0]
    return boxes


def _text(element: Element, name: str, source: Path) -> str:
    value = element.get(name)
    if not value:
        raise UserError(f"{source}: {_name(element)} has no {name!r}")
    return value


def _number(element: Element, name: str, source: Path) -> float:
    text = _text(element, name, source)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise UserError(f"{source}: {_name(element)}: {name!r} is no number, but {text!r}")
    return value


def _name(element: Element) -> str:
    name = element.get("name") or element.get("id") or element.get("label")
    return element.tag if name is None else f"{element.tag} {name!r}"
