"""CVAT exports as COCO files."""

from pathlib import Path

import numpy as np
import pytest

from nas.cli.main import run
from nas.data.convert import convert, write_coco
from nas.errors import UserError
from nas.space.skeleton import Skeleton

THREE = Skeleton(name="three", keypoints=("head", "left_hand", "right_hand"), flip_pairs=(), sigmas=())

LABELS = """
<label><name>person</name><type>skeleton</type></label>
<label><name>right_hand</name><type>points</type><parent>person</parent></label>
<label><name>head</name><type>points</type><parent>person</parent></label>
<label><name>left_hand</name><type>points</type><parent>person</parent></label>
<label><name>ball</name><type>rectangle</type></label>
"""

FRAMES = """
<image id="0" name="a/000000000009.jpg" width="200" height="100">
  <skeleton label="person" source="manual" z_order="0" group_id="3">
    <points label="head" source="manual" outside="0" occluded="0" points="50.50,20.25"></points>
    <points label="left_hand" source="manual" outside="0" occluded="1" points="30.00,60.00"></points>
    <points label="right_hand" source="manual" outside="1" occluded="0" points="90.00,60.00"></points>
  </skeleton>
  <skeleton label="person" source="manual" z_order="0">
    <points label="head" outside="0" occluded="0" points="150.00,20.00"></points>
    <points label="right_hand" outside="0" occluded="0" points="160.00,70.00"></points>
  </skeleton>
  <box label="person" occluded="0" xtl="20.00" ytl="10.00" xbr="95.50" ybr="90.00" group_id="3"></box>
  <box label="person" occluded="0" xtl="0" ytl="0" xbr="9" ybr="9"></box>
  <box label="ball" occluded="0" xtl="0" ytl="0" xbr="9" ybr="9"></box>
</image>
<image id="1" name="a/000000000010.jpg" width="64" height="48"></image>
"""


def export(folder: Path, *, labels: str = LABELS, frames: str = FRAMES, head: str = "") -> Path:
    path = folder / "annotations.xml"
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n{head}<annotations><version>1.1</version>'
        f"{meta}{frames}</annotations>"
    )
    return path


def test_skeletons(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    converted = convert(export(tmp_path), format_="cvat")
    assert converted.images == tmp_path / "images"
    assert converted.remarks == (
        "box that belongs to no skeleton, left out (1)",
        "shape of another label, left out (1)",
    )
    loaded = write_coco(converted, tmp_path / "out.json")
    assert loaded.skeleton.keypoints == ("right_hand", "head", "left_hand")
    assert [(image.id, image.file, image.size) for image in loaded.images] == [
        (9, "a/000000000009.jpg", (100, 200)),
        (10, "a/000000000010.jpg", (48, 64)),
    ]
    assert loaded.people.keypoints.tolist() == [
        [[0, 0, 0], [50.5, 20.25, 2], [30, 60, 1]],
        [[160, 70, 2], [150, 20, 2], [0, 0, 0]],
    ]
    assert loaded.people.bbox[0].tolist() == [20, 10, 75.5, 80]
    # Around the joints, a tenth of the larger side wider on each side, from pixel centres to edges.
    assert loaded.people.bbox[1].tolist() == [145.5, 15.5, 20, 60]


def test_another_order_of_joints(tmp_path: Path) -> None:
    loaded = write_coco(convert(export(tmp_path), format_="cvat", skeleton=THREE), tmp_path / "out.json")
    assert loaded.skeleton.keypoints == THREE.keypoints
    assert loaded.people.keypoints[0].tolist() == [[50.5, 20.25, 2], [30, 60, 1], [0, 0, 0]]


def test_sets_of_points(tmp_path: Path) -> None:
    frames = """
    <image id="0" name="x.png" width="100" height="80">
      <points label="human" occluded="0" points="10,20;30.5,40;50,60"></points>
      <points label="human" occluded="1" points="11,21;31,41;51,61"></points>
    </image>"""
    path = export(tmp_path, labels="<label><name>human</name></label>", frames=frames)
    with pytest.raises(UserError, match="`skeleton`"):
        convert(path, format_="cvat")
    loaded = write_coco(convert(path, format_="cvat", skeleton=THREE), tmp_path / "out.json")
    np.testing.assert_array_equal(
        loaded.people.keypoints,
        [
            [[10, 20, 2], [30.5, 40, 2], [50, 60, 2]],
            [[11, 21, 1], [31, 41, 1], [51, 61, 1]],
        ],
    )


ENTITIES = '<!DOCTYPE annotations [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>\n'
OUTSIDE = '<!DOCTYPE annotations [<!ENTITY a SYSTEM "file:///etc/hostname">]>\n'


@pytest.mark.parametrize("head", [ENTITIES, OUTSIDE, '<!DOCTYPE annotations SYSTEM "a.dtd">\n'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_types_are_refused(head: str, encoding: str, tmp_path: Path) -> None:
    path = export(tmp_path, frames=FRAMES.replace("a/0", "&a;0"), head=head)
    text = path.read_text().replace('"utf-8"', f'"{encoding}"')
    path.write_bytes(text.encode(encoding))
    with pytest.raises(UserError, match="it declares a document type"):
        convert(path, format_="cvat")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</image>", "", "cannot be read as XML"),
        ('width="200"', 'width="wide"', "'width' is no number"),
        ('width="200"', "", "has no 'width'"),
        ('name="a/000000000009.jpg"', "", "has no 'name'"),
        ("50.50,20.25", "50.50", "no pairs of numbers"),
        ("50.50,20.25", "50.5,nan", "no pairs of numbers"),
        ("50.50,20.25", "50.5,2;3,4", "has 2 places"),
        ('xbr="95.50"', 'xbr="x"', "'xbr' is no number"),
        (FRAMES, '<track id="0" label="person"></track>', "CVAT for images 1.1"),
        (FRAMES, "", "holds no images"),
        ('label="person"', 'label="human"', "nothing was written"),
    ],
)
def test_faults_are_one_line(
    old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export(tmp_path)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    output = tmp_path / "out.json"
    assert run(["data", "convert", "--from", "cvat", str(path), "--out", str(output)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert not output.exists()


def test_a_label_of_another_name(tmp_path: Path) -> None:
    text = LABELS.replace("person", "worker"), FRAMES.replace("person", "worker")
    path = export(tmp_path, labels=text[0], frames=text[1])
    assert len(convert(path, format_="cvat").content["annotations"]) == 2
    both = export(
        tmp_path,
        labels=text[0] + "<label><name>horse</name><type>skeleton</type></label>",
        frames=text[1],
    )
    with pytest.raises(UserError, match="`category`: horse, worker"):
        convert(both, format_="cvat")
    assert len(convert(both, format_="cvat", category="worker").content["annotations"]) == 2


PAIR = """
<label><name>person</name><type>skeleton</type></label>
<label><name>nose</name><type>points</type><parent>person</parent></label>
<label><name>hand</name><type>points</type><parent>person</parent></label>
"""


def skeleton(nose: str | None, hand: str | None = None, *, group: int = 0) -> str:
    """A skeleton of which joints that are None are outside."""
    points = "".join(
        f'<points label="{name}" outside="{int(place is None)}" occluded="0" points="{place or "1,1"}"/>'
        for name, place in (("nose", nose), ("hand", hand))
    )
    return f'<skeleton label="person" group_id="{group}">{points}</skeleton>'


def box(x0: float, y0: float, x1: float, y1: float, *, group: int = 0, more: str = 'label="person"') -> str:
    return f'<box {more} xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}" group_id="{group}"/>'


def frame(content: str, *, name: str = "a.jpg", number: int = 0, more: str = "") -> str:
    return f'<image id="{number}" name="{name}" {more} width="160" height="128">{content}</image>'


def people_of(folder: Path, frames: str) -> tuple[list[list[float]], tuple[str, ...]]:
    """The boxes of a pair's export, once it is written and read, and the remarks."""
    converted = convert(export(folder, labels=PAIR, frames=frames), format_="cvat")
    return write_coco(converted, folder / "out.json").people.bbox.tolist(), converted.remarks


def test_joints_on_one_place_get_a_box_of_the_stated_size(tmp_path: Path) -> None:
    """A tenth of the image's shorter side, 128 px; one that begins at the border is cut there."""
    frames = frame(skeleton("70,60") + skeleton("0,60") + skeleton(None, "50,70") + skeleton(None))
    boxes, remarks = people_of(tmp_path, frames)
    assert boxes[0] == pytest.approx([70.5 - 6.4, 60.5 - 6.4, 12.8, 12.8])
    assert boxes[1] == pytest.approx([0, 60.5 - 6.4, 6.9, 12.8])
    assert len(boxes) == 3
    assert remarks == (
        "person whose labelled joints lie on one place: the box is 0.1 of the image's shorter side wide and "
        "high (3)",
        "person without a box and without a labelled joint, left out (1)",
    )


def test_a_person_whose_joints_lie_outside_the_image_is_said_to(tmp_path: Path) -> None:
    boxes, remarks = people_of(tmp_path, frame(skeleton("-40,20", "-30,60") + skeleton("10,10", "90,90")))
    assert len(boxes) == 1
    said = "person without a box, whose labelled joints all lie outside the image, left out (1)"
    assert remarks == (said,)


def test_a_skeleton_of_one_joint(tmp_path: Path) -> None:
    labels = PAIR[: PAIR.index("<label><name>hand")]
    one = '<skeleton label="person"><points label="nose" points="70,60"/></skeleton>'
    converted = convert(export(tmp_path, labels=labels, frames=frame(one)), format_="cvat")
    loaded = write_coco(converted, tmp_path / "out.json")
    assert loaded.people.keypoints.tolist() == [[[70, 60, 2]]]
    assert loaded.people.labelled.all()


LEFT, RIGHT = (10, 10, 90, 90), (100, 10, 150, 90)


@pytest.mark.parametrize("order", [(LEFT, RIGHT), (RIGHT, LEFT)])
def test_people_of_one_group_get_the_boxes_that_hold_their_joints(order: tuple, tmp_path: Path) -> None:
    content = "".join(box(*corners, group=3) for corners in order)
    content += skeleton("50,20", "70,60", group=3) + skeleton("120,20", "130,60", group=3)
    boxes, remarks = people_of(tmp_path, frame(content))
    assert boxes == [[10, 10, 80, 80], [100, 10, 50, 80]]
    assert remarks == ()


def test_overlapping_people_of_one_group(tmp_path: Path) -> None:
    """The outer box holds the joints of both, the inner one those of one only."""
    content = box(0, 0, 159, 127, group=1) + box(60, 40, 100, 90, group=1)
    content += skeleton("70,50", "90,80", group=1) + skeleton("20,10", "140,120", group=1)
    boxes, remarks = people_of(tmp_path, frame(content))
    assert boxes == [[60, 40, 40, 50], [0, 0, 159, 127]]
    assert remarks == ()


@pytest.mark.parametrize(
    ("boxes", "people"),
    [
        # Around both of two people: whose it is cannot be told.
        ([(0, 0, 159, 127)], [("50,20", "70,60"), ("120,20", "130,60")]),
        # Elsewhere.
        ([(0, 90, 20, 127)], [("50,20", "70,60")]),
    ],
)
def test_a_box_that_is_nobodys_is_said(boxes: list, people: list, tmp_path: Path) -> None:
    content = "".join(box(*corners, group=1) for corners in boxes)
    content += "".join(skeleton(*joints, group=1) for joints in people)
    found, remarks = people_of(tmp_path, frame(content))
    without, _ = people_of(tmp_path, frame("".join(skeleton(*joints) for joints in people)))
    assert found == without
    assert remarks == ("box of a group that is not clearly one person's, left out (1)",)


def test_of_a_group_the_person_s_own_box_is_taken(tmp_path: Path) -> None:
    things = box(10, 10, 90, 90, group=1, more='label="chair"') + box(9, 9, 9, 80, group=1)
    content = things + box(40, 10, 80, 70, group=1) + skeleton("50,20", "70,60", group=1)
    boxes, remarks = people_of(tmp_path, frame(content))
    assert boxes == [[40, 10, 40, 60]]
    assert remarks == ("box without extent, left out (1)", "shape of another label, left out (1)")
    # Where no box has the person's label, one of another is the person's: in CVAT labels have one shape each.
    other = box(40, 10, 80, 70, group=1, more='label="bbox"') + skeleton("50,20", "70,60", group=1)
    assert people_of(tmp_path, frame(other)) == ([[40, 10, 40, 60]], ())
    # All that is known of a person without joints is the box.
    hidden = box(40, 10, 80, 70, group=1) + skeleton(None, group=1)
    with pytest.raises(UserError, match="nobody"):
        people_of(tmp_path, frame(hidden))
    boxes, remarks = people_of(tmp_path, frame(hidden + skeleton("9,9", "30,40")))
    assert boxes[0] == [40, 10, 40, 60]
    assert remarks == ()


def test_a_turned_box_is_taken_around_its_corners(tmp_path: Path) -> None:
    turned = box(40, 40, 80, 60, group=1, more='label="person" rotation="90.00"')
    boxes, _ = people_of(tmp_path, frame(turned + skeleton("60,40", "60,65", group=1)))
    assert boxes[0] == pytest.approx([50, 30, 20, 40])


def project(subsets: tuple[str, str], names: tuple[str, str] = ("0001.jpg", "0001.jpg")) -> str:
    """Two tasks of a project, of one image each."""
    people = skeleton("50,20", "70,60"), skeleton("10,90", "30,60")
    return "".join(
        frame(person, name=name, number=n, more=f'subset="{subset}" task_id="{n + 7}"')
        for n, (person, name, subset) in enumerate(zip(people, names, subsets, strict=True))
    )


def files_of(folder: Path, frames: str) -> tuple[list[str], tuple[str, ...]]:
    converted = convert(export(folder, labels=PAIR, frames=frames), format_="cvat")
    loaded = write_coco(converted, folder / "out.json")
    return [image.file for image in loaded.images], converted.remarks


def test_images_of_one_name_in_a_project(tmp_path: Path) -> None:
    told = "image whose file name begins with its subset (2)"
    two_subsets = project(("Train", "Validation"))
    assert files_of(tmp_path, two_subsets) == (["Train/0001.jpg", "Validation/0001.jpg"], (told,))
    with pytest.raises(UserError, match=r"image 0 of task 7 and image 1 of task 8 have the same file"):
        files_of(tmp_path, project(("Train", "Train")))
    with pytest.raises(UserError, match=r"image 0 and image 1 have the same file name '\./a\.jpg'"):
        files_of(tmp_path, frame(skeleton("5,5", "9,9")) + frame("", name="./a.jpg", number=1))


def test_a_project_that_brings_its_images_has_folders_of_subsets(tmp_path: Path) -> None:
    frames = project(("Train", "Train"), ("1.jpg", "2.jpg"))
    assert files_of(tmp_path, frames) == (["1.jpg", "2.jpg"], ())
    (tmp_path / "images" / "Train").mkdir(parents=True)
    (tmp_path / "images" / "Train" / "2.jpg").touch()
    told = "image whose file name begins with its subset (2)"
    assert files_of(tmp_path, frames) == (["Train/1.jpg", "Train/2.jpg"], (told,))


HOSTILE = {
    "deep": ("<a>" * 50_000, "cannot be read as XML"),
    "deep and whole": ("<a>" * 50_000 + "</a>" * 50_000, "not a CVAT export"),
    "empty": ("", "cannot be read as XML"),
    "not UTF-8": ("\udcff\udcfe", "cannot be read as XML"),
    "another encoding": ('<?xml version="1.0" encoding="klingon"?><annotations/>', "cannot be read as XML"),
    "another root": ("<html/>", "not a CVAT export"),
    "nothing in it": ("<annotations/>", "it holds no images"),
    "huge number": (frame(skeleton("1e300,5")), "lie outside of any image"),
    "long number": (frame(skeleton("9" * 9999 + ",5")), "no pairs of numbers"),
    "infinite": (frame(skeleton("inf,5")), "no pairs of numbers"),
    "huge image": (frame("").replace('"160"', '"1e12"'), "more than any image has"),
    "flat image": (frame("").replace('"160"', '"0"'), "no number of pixels"),
    "half a pixel": (frame("").replace('"160"', '"160.5"'), "no number of pixels"),
    "unnamed joint": (frame('<skeleton label="person"><points points="1,1"/></skeleton>'), "no 'label'"),
    "joint twice": (frame(skeleton("1,1").replace('"hand" outside="1"', '"nose" outside="0"')), "twice"),
    "half outside": (frame(skeleton("1,1").replace('"1"', '"maybe"', 1)), "neither 0 nor 1"),
    "two places": (frame(skeleton("1,1;2,2")), "has 2 places"),
}
"""What an export may hold or be, and what is said of it."""


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_exports_are_one_line(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, said = HOSTILE[kind]
    if content.startswith("<image"):
        path = export(tmp_path, labels=PAIR, frames=content)
    else:
        path = tmp_path / "annotations.xml"
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert run(["data", "convert", "--from", "cvat", str(path), "--out", str(tmp_path / "out.json")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert len(line) < 1000


def test_entities_are_refused_before_they_unfold(tmp_path: Path) -> None:
    """Nine levels of ten each: a thousand million characters, were they written out."""
    levels = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 10))
    head = f'<!DOCTYPE annotations [<!ENTITY x0 "aaaaaaaaaa">{levels}]>'
    path = export(tmp_path, frames=FRAMES.replace("a/0", "&x9;0"), head=head)
    with pytest.raises(UserError, match="it declares a document type"):
        convert(path, format_="cvat")
