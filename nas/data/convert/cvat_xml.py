"""The XML of a CVAT export: parsed without entities, and read attribute by attribute."""

from math import cos, isfinite, radians, sin
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from nas.coco.images import LONGEST_SIDE
from nas.documents import shown
from nas.errors import UserError

_FLAGS = {"0": False, "false": False, "1": True, "true": True}


class _PlainTree(ElementTree.TreeBuilder):
    """Refuses a document type: its entities can name files or grow without bound, and exports have none."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise UserError("it declares a document type, which a CVAT export does not")


def parse(source: Path) -> Element:
    """The root of an export. Raises UserError: unreadable, not XML, a document type, or no export."""
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


def group_of(shape: Element) -> str | None:
    """The group of a shape; 0 is none."""
    group = shape.get("group_id")
    return None if group in (None, "", "0") else group


def box_of(box: Element, source: Path) -> list[float] | None:
    """x, y, width, height of a box, of a turned one around its corners; None where it has no extent."""
    x0, y0, x1, y1 = (_number(box, side, source) for side in ("xtl", "ytl", "xbr", "ybr"))
    if x1 <= x0 or y1 <= y0:
        return None
    angle = radians(_number(box, "rotation", source)) if box.get("rotation") else 0.0
    if not angle:
        return [x0, y0, x1 - x0, y1 - y0]
    across, down = abs(cos(angle)), abs(sin(angle))
    width = (x1 - x0) * across + (y1 - y0) * down
    height = (x1 - x0) * down + (y1 - y0) * across
    return [(x0 + x1 - width) / 2, (y0 + y1 - height) / 2, width, height]


def frame_size(frame: Element, source: Path) -> tuple[int, int]:
    """(h, w) of an image."""
    sides = []
    for name in ("height", "width"):
        side = _number(frame, name, source)
        if side < 1 or side != int(side):
            raise UserError(f"{source}: {_name(frame)}: {name!r} is no number of pixels, but {side:g}")
        sides.append(int(side))
    return sides[0], sides[1]


def places(shape: Element, where: str) -> list[tuple[float, float]]:
    """The points `x,y;x,y` of a shape."""
    try:
        pairs = [tuple(map(float, pair.split(","))) for pair in shape.get("points", "").split(";")]
        if any(len(pair) != 2 or not all(map(isfinite, pair)) for pair in pairs):
            raise ValueError
    except ValueError:
        raise UserError(f"{where}: the points {shown(shape.get('points'))} are no pairs of numbers") from None
    if any(abs(value) > LONGEST_SIDE for pair in pairs for value in pair):
        raise UserError(f"{where}: the points {shown(shape.get('points'))} lie outside of any image")
    return [(x, y) for x, y in pairs]


def flag(shape: Element, name: str, where: str) -> bool:
    """An attribute that is 0 or 1; 0 where it is missing."""
    value = shape.get(name, "0")
    if value.lower() not in _FLAGS:
        raise UserError(f"{where}: {_name(shape)}: {name!r} is neither 0 nor 1, but {shown(value)}")
    return _FLAGS[value.lower()]


def text(element: Element, name: str, source: Path) -> str:
    """An attribute that has to be there."""
    value = element.get(name)
    if not value:
        raise UserError(f"{source}: {_name(element)} has no {name!r}")
    return value


def _number(element: Element, name: str, source: Path) -> float:
    content = text(element, name, source)
    try:
        value = float(content)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise UserError(f"{source}: {_name(element)}: {name!r} is no number, but {shown(content)}")
    if abs(value) > LONGEST_SIDE:
        raise UserError(f"{source}: {_name(element)}: {name!r} is {shown(content)}, more than any image has")
    return value


def _name(element: Element) -> str:
    name = element.get("name") or element.get("id") or element.get("label")
    return element.tag if name is None else f"{element.tag} {shown(name)}"
