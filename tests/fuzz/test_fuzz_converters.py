"""Whatever a source of another format holds, it is converted, or refused in one line."""

import json
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import cv2
import numpy as np
import pytest
from fuzzing import FEW, MANY, loads_or_refuses
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import raw_json, raw_yaml, spoilt, spoilt_texts
from scipy.io import savemat

from nas.data.convert import convert, write_coco
from nas.space.skeleton import Skeleton

COCO = Skeleton.load("coco17")
SIZE = (40, 50)

ATTRIBUTES = (
    "", "0", "1", "-1", "0.5", "1e300", "-1e300", "inf", "nan", "9" * 5000, "1,2", "1,2;3,4", "x", "a" * 3000,
    "person", "nose", "../../x", "/x", "\u2028", "a\tb", "é",
)  # fmt: skip
LINES = (
    "", " ", "0", "0 0.5 0.5 0.2 0.2", "0 0.5 0.5 0 0", "0 nan 0 0 0", "x", "1e999", "-1 0 0 0 0",
    "0.5 0 0 0 0", "0 300 200 50 50", "9" * 5000, "0 1 1 1 1 " + "0.5 " * 1000, "\x00", "\u2028",
    "0 1_0 0 0 0",
)  # fmt: skip


def crowdpose() -> list[Any]:
    names = list(Skeleton.load("crowdpose14").keypoints)
    person = {
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [6, 6, 28, 28.5],
        "keypoints": [9, 8, 2] * 14,
    }
    return [
        {
            "images": [{"id": n, "file_name": f"{n}.jpg", "height": 40, "width": 50} for n in (1, 2)],
            "annotations": [{**person, "id": 7}, {**person, "id": 8, "area": 90.0, "num_keypoints": 14}],
            "categories": [{"id": 1, "name": "person", "keypoints": names}],
        }
    ]


def mpii() -> list[Any]:
    person = {"image": "1.png", "center": [20.0, 20.0], "scale": 0.1}
    joints = {"joints": [[9.0 + n, 20.0] for n in range(16)], "joints_vis": [1, 0] * 8}
    return [[{**person, **joints}, {**person, **joints, "head_box": [[1, 2], [3, 4]]}]]


def facts() -> list[Any]:
    stated = {"path": "", "train": "images", "val": ["images", "list.txt"], "kpt_shape": [17, 3]}
    return [{**stated, "flip_idx": list(COCO.flip_index), "names": {"0": "person"}, "nc": 1}]


def person_line() -> str:
    return "0 0.5 0.5 0.4 0.6 " + "0.5 0.25 2 " * 17


def cvat() -> Element:
    labels = "".join(
        f"<label><name>{name}</name><type>{kind}</type><parent>{parent}</parent></label>"
        for name, kind, parent in (("person", "skeleton", ""), ("nose", "points", "person"))
    )
    skeleton = '<points label="nose" outside="0" occluded="0" points="9.5,8.25"/>'
    frames = "".join(
        f'<image id="{n}" name="{n}.jpg" subset="a" task_id="{n}" width="50" height="40">'
        f'<box label="person" xtl="1" ytl="2" xbr="30" ybr="20" rotation="9" group_id="1"/>'
        f'<skeleton label="person" group_id="1">{skeleton}</skeleton></image>'
        for n in (1, 2)
    )
    return ElementTree.fromstring(
        f"<annotations><meta><task><labels>{labels}</labels></task></meta>{frames}</annotations>"
    )


@st.composite
def spoilt_exports(draw: st.DrawFn) -> bytes:
    """An export with attributes and elements deleted, replaced, repeated, moved, perhaps as spoilt text."""
    root = deepcopy(cvat())
    for _ in range(draw(st.integers(0, 3))):
        element = draw(st.sampled_from(list(root.iter())))
        change = draw(st.sampled_from(("set", "set", "delete", "text", "tag", "move", "repeat", "remove")))
        if change in ("set", "delete") and element.attrib:
            name = draw(st.sampled_from(sorted(element.attrib)))
            element.attrib.pop(name)
            if change == "set":
                element.set(name, draw(st.sampled_from(ATTRIBUTES)))
        elif change == "text":
            element.text = draw(st.sampled_from(ATTRIBUTES))
        elif change == "tag":
            element.tag = draw(st.sampled_from(("points", "box", "skeleton", "image", "label", "track", "x")))
        elif change == "move":
            element.append(deepcopy(draw(st.sampled_from(list(root.iter())))))
        elif change == "repeat" and len(element):
            element.append(deepcopy(element[0]))
        elif change == "remove" and len(element):
            element.remove(element[0])
    text = ElementTree.tostring(root, encoding="unicode")
    if draw(st.booleans()):
        return text.encode("utf-8")
    return draw(spoilt_texts(f'<?xml version="1.0" encoding="utf-8"?>{text}'))


@st.composite
def spoilt_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A binary file cut off, or with some bytes changed."""
    changed = bytearray(content[: draw(st.integers(len(content) // 2, len(content)))])
    for _ in range(draw(st.integers(0, 8))):
        changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    return bytes(changed)


@cache
def matlab() -> bytes:
    people = np.zeros((1, 1), dtype=[("annopoints", object), ("scale", object)])
    point = np.array([[(9.0, 8.0, 3), (19.0, 28.0, 4)]], dtype=[("x", object), ("y", object), ("id", object)])
    points = np.zeros((1, 1), dtype=[("point", object)])
    points[0, 0]["point"] = point
    people[0, 0]["annopoints"], people[0, 0]["scale"] = points, 0.2
    images = np.zeros((1, 1), dtype=[("image", object), ("annorect", object)])
    images[0, 0]["image"] = np.array([[("1.png",)]], dtype=[("name", object)])
    images[0, 0]["annorect"] = people
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mpii.mat"
        savemat(path, {"RELEASE": {"annolist": images, "img_train": np.ones((1, 1))}})
        return path.read_bytes()


def a_folder(root: Path) -> Path:
    """`images/` with two pictures, and `labels/`."""
    folder = root / "set"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in (1, 2):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), np.full((*SIZE, 3), number, np.uint8))
    return folder


def write_yolo(folder: Path) -> None:
    """Labels of one picture, a list of it, data.yaml."""
    (folder / "labels" / "1.txt").write_text(person_line())
    (folder / "list.txt").write_text("images/1.png\n")
    (folder / "data.yaml").write_text(json.dumps(facts()[0]))


def attempt(folder: Path, source: Path, format_: str, **given_: Any) -> Callable[[], object]:
    return lambda: write_coco(convert(source, format_=format_, **given_), folder / "out.json")


KINDS = ("crowdpose", "mpii", "matlab", "yolo facts", "yolo labels", "yolo list", "cvat")
"""What is spoilt."""


def fuzz(kind: str, folder: Path, data: st.DataObject) -> None:
    images = folder / "images"
    skeleton = data.draw(st.sampled_from((None, COCO)))
    match kind:
        case "crowdpose":
            source = folder / "people.json"
            source.write_bytes(data.draw(spoilt(crowdpose(), raw_json())))
            load = attempt(folder, source, "crowdpose", skeleton=skeleton)
        case "mpii":
            source = folder / "people.json"
            source.write_bytes(data.draw(spoilt(mpii(), raw_json())))
            load = attempt(folder, source, "mpii", images=images, skeleton=skeleton)
        case "matlab":
            source = folder / "mpii.mat"
            source.write_bytes(data.draw(spoilt_bytes(matlab())))
            load = attempt(folder, source, "mpii", images=images)
        case "cvat":
            source = folder / "annotations.xml"
            source.write_bytes(data.draw(spoilt_exports()))
            load = attempt(folder, source, "cvat")
        case _:
            write_yolo(folder)
            if kind == "yolo facts":
                sentinel = str(folder / "code-was-run")
                (folder / "data.yaml").write_bytes(data.draw(spoilt(facts(), raw_yaml(sentinel))))
            elif kind == "yolo list":
                (folder / "list.txt").write_bytes(data.draw(spoilt_texts("./images/1.png\nimages/2.png\n")))
            else:
                lines = data.draw(st.lists(st.sampled_from((person_line(), *LINES)), max_size=4))
                (folder / "labels" / "1.txt").write_bytes(data.draw(spoilt_texts("\n".join(lines))))
            split = data.draw(st.sampled_from(("train", "val")))
            load = attempt(folder, folder, "yolo", split=split, skeleton=skeleton)
    loads_or_refuses(load)
    assert not (folder / "code-was-run").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_valid_sources_are_converted(kind: str, tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    write_yolo(folder)
    contents = {"crowdpose": json.dumps(crowdpose()[0]).encode(), "mpii": json.dumps(mpii()[0]).encode()}
    contents |= {"matlab": matlab(), "cvat": ElementTree.tostring(cvat())}
    given_ = {"images": folder / "images"} if kind in ("mpii", "matlab") else {}
    if kind in contents:
        source = folder / ("source.mat" if kind == "matlab" else "source")
        source.write_bytes(contents[kind])
        load = attempt(folder, source, "mpii" if kind == "matlab" else kind, **given_)
    else:
        load = attempt(folder, folder, "yolo", split="val")
    assert loads_or_refuses(load)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_folder(tmp_path_factory.mktemp("sources"))


@pytest.mark.parametrize("kind", KINDS)
@settings(FEW, max_examples=40)
@given(data=st.data())
def test_spoilt_sources(kind: str, folder: Path, data: st.DataObject) -> None:
    fuzz(kind, folder, data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@settings(MANY, max_examples=600, deadline=None)  # sizes in a Matlab file may ask for much memory
@given(data=st.data())
def test_many_spoilt_sources(kind: str, folder: Path, data: st.DataObject) -> None:
    fuzz(kind, folder, data)
