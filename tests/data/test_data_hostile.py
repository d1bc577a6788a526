"""Whatever stands in one field of an annotation file: loaded, or refused in one line; checked in any case."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from dotted_people import JOINTS, person

from nas.cli.main import run
from nas.coco import people_boxes
from nas.codecs.affine import image_affine
from nas.data import load_annotations
from nas.data.check import check_dataset
from nas.data.regions import loss_mask
from nas.errors import UserError
from nas.space.skeleton import Skeleton

SIZE = (40, 60)
T = TypeVar("T")

SQUARE = [[1.0, 1, 9, 1, 9, 9]]
RUNS = {"size": list(SIZE), "counts": [100, 50, 2250]}

TELLING: tuple[Any, ...] = (
    ..., None, -1, "x", 1e9, float("nan"), [], [[]], [0, 0, 0, 0],
    {"size": [40, 60], "counts": "PPPP"},
)  # fmt: skip
FURTHER: tuple[Any, ...] = (
    True, 3, 1.0, 0.5, "", "1", "a\nb\x1b[31m", "\ud800", "a\0b", "../x", 2**31, 10**400,
    -1e300, float("inf"),
    [None], [1e9, 1, 2] * 7, [["1", "2"]], [[1, 2, 3, 4, 5]], {}, {"counts": [2400]}, [{}],
)  # fmt: skip


def document() -> dict[str, Any]:
    keypoints = np.full((len(JOINTS), 3), 20.0)
    keypoints[:, 2] = 2
    nobody = np.zeros((len(JOINTS), 3))
    return {
        "images": [
            {"id": n, "file_name": f"{n}.png", "height": 40, "width": 60, "crowdIndex": 0.1} for n in (1, 2)
        ],
        "annotations": [
            person(1, 1, keypoints, segmentation=SQUARE),
            person(2, 1, nobody, segmentation=SQUARE),
            person(3, 2, nobody, iscrowd=1, segmentation=RUNS),
            person(4, 2, keypoints),
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(JOINTS)}],
    }


def spoilt(values: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """The document with one of its fields as it should not be."""
    for key, entries in document().items():
        for value in values:
            yield f"{key} = {value!r}", {**document(), key: None if value is ... else value}
            for index in (0, 1) if key == "annotations" else (0,):
                for field in entries[index]:
                    content = document()
                    content[key][index][field] = value
                    if value is ...:
                        del content[key][index][field]
                    yield f"{key}[{index}].{field} = {value!r}", content


def loaded_or_refused(load: Callable[[], T], what: str) -> T | None:
    try:
        return load()
    except UserError as error:
        message = str(error)
    assert message.isprintable(), what
    return None


@pytest.mark.parametrize("values", [TELLING, pytest.param(FURTHER, marks=pytest.mark.slow)])
def test_one_odd_value_is_read_or_refused(values: Sequence[Any], tmp_path: Path, skeleton: Skeleton) -> None:
    path = tmp_path / "set.json"
    loaded = 0
    for what, content in spoilt(values):
        path.write_text(json.dumps(content))
        annotations = loaded_or_refused(lambda: load_annotations(path, None, skeleton), what)
        if annotations is not None:
            loaded += 1
            people = annotations.people
            numbers = (people.keypoints, people.bbox, people.areas, people.boxes)
            assert all(np.isfinite(column).all() for column in numbers), what
            assert (people.areas[people.labelled] > 0).all(), what
            for position, image in enumerate(annotations.images):
                loss_mask(annotations, position, image_affine(image.size, SIZE), SIZE)
            json.dumps(annotations.to_coco(), allow_nan=False)
        report = loaded_or_refused(lambda: check_dataset(path), what)
        assert report is None or json.dumps(report.to_json())
        loaded_or_refused(lambda: people_boxes(path), what)
    assert loaded > 50


SEGMENTATIONS: tuple[Any, ...] = (
    [[]], [[1, 2, 3, 4, 5]], [1, 2, 30, 2, 30, 40], [["1", "2", "30", "2", "30", "40"]], "none",
    {"counts": [10, 20]},
    {"size": [40, 60], "counts": [10, 20]}, {"size": [40, 60], "counts": "garbage"},
    {"size": [64, 64], "counts": [4096]},
    [[1, 2, float("nan"), 4, 5, 6]],
)  # fmt: skip


@pytest.mark.parametrize("shape", SEGMENTATIONS, ids=str)
def test_a_region_that_cannot_be_read_is_its_box_and_named(
    shape: Any, tmp_path: Path, skeleton: Skeleton, caplog: pytest.LogCaptureFixture
) -> None:
    content = document()
    content["annotations"][1] |= {"segmentation": shape, "bbox": [10, 5, 20, 30]}
    path = tmp_path / "set.json"
    path.write_text(json.dumps(content))
    mask = loss_mask(load_annotations(path, None, skeleton), 0, image_affine(SIZE, SIZE), SIZE)
    assert mask is not None
    expected = np.ones(SIZE, bool)
    expected[5:35, 10:30] = False
    assert (mask != expected).sum() <= 30 + 20 + 1  # its border may fall either way
    (record,) = caplog.records
    assert "1 segmentations cannot be read" in record.getMessage()
    assert "annotation 2" in record.getMessage()
    (finding,) = (found for found in check_dataset(path).findings if found.kind.name == "segmentation")
    assert finding.kind.problem
    assert finding.count == 1
    assert finding.examples[0].annotation == 2


def test_commands_take_the_category(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = document()
    content["categories"] = [
        {"id": n, "name": name, "keypoints": list(JOINTS)} for n, name in ((1, "cat"), (2, "dog"))
    ]
    content["annotations"][3]["category_id"] = 2
    path, made = tmp_path / "set.json", tmp_path / "made.json"
    path.write_text(json.dumps(content))
    convert = ["data", "convert", "--from", "crowdpose", str(path), "--out", str(made)]
    for command in (["data", "stats", str(path)], convert):
        assert run(command) == 2
        assert "(cat, dog)" in capsys.readouterr().err
        assert run([*command, "--category", "dog", "--json"]) == 0
        assert run([*command, "--category", "all", "--json"]) == 0
        capsys.readouterr()
    annotations = load_annotations(made, None, None)
    assert len(annotations.people) == 4
    assert annotations.people.labelled.sum() == 2
    assert run(["data", "check", str(path), "--json"]) == 1
    assert "categories" in capsys.readouterr().out
    run(["data", "check", str(path), "--category", "all", "--json"])
    classes = {found["class"] for found in json.loads(capsys.readouterr().out)["findings"]}
    assert not classes & {"categories", "refused", "other_category"}
