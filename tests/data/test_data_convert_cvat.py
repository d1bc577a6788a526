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
    with pytest.raises(UserError, match="--skeleton"):
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
    with pytest.raises(UserError, match="--category: horse, worker"):
        convert(both, format_="cvat")
    assert len(convert(both, format_="cvat", category="worker").content["annotations"]) == 2
