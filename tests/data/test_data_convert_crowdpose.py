"""CrowdPose files as COCO files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.cli.main import run
from nas.data import load_annotations
from nas.data.convert import convert, write_coco
from nas.errors import UserError
from nas.space.skeleton import Skeleton

CROWDPOSE = Skeleton.load("crowdpose14")


def image(id_: int, name: str) -> dict[str, Any]:
    return {"id": id_, "file_name": name, "height": 100, "width": 120}


def crowdpose(folder: Path, **changes: Any) -> Path:
    """Two people on two images, without areas, and joints named as CrowdPose names them."""
    rng = np.random.default_rng(0)
    people = []
    for id_, image in ((5, 100), (6, 101)):
        keypoints = np.column_stack([rng.integers(10, 90, (14, 2)), rng.integers(0, 3, 14)])
        people.append(
            {
                "id": id_,
                "image_id": image,
                "category_id": 1,
                "iscrowd": 0,
                "keypoints": keypoints.ravel().tolist(),
                "num_keypoints": int((keypoints[:, 2] > 0).sum()),
                "bbox": [10, 10, 40 + id_, 80],
            }
        )
    names = [*CROWDPOSE.keypoints[:12], "head", "neck"]
    content = {
        "images": [
            {"id": id_, "file_name": f"{id_}.jpg", "height": 100, "width": 120, "crowdIndex": 0.5}
            for id_ in (100, 101)
        ],
        "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": names, "skeleton": []}],
    } | changes
    path = folder / "crowdpose_val.json"
    path.write_text(json.dumps(content))
    return path


def test_areas_are_added_and_all_else_stays(tmp_path: Path) -> None:
    source = crowdpose(tmp_path)
    read = load_annotations(source, None, CROWDPOSE).people.areas
    converted = convert(source, format_="crowdpose")
    before = json.loads(source.read_text())
    assert converted.remarks == ("area added as 0.53 of the box (2)",)
    areas = [row.pop("area") for row in converted.content["annotations"]]
    assert areas == pytest.approx([0.53 * 45 * 80, 0.53 * 46 * 80])
    assert read.tolist() == pytest.approx(areas)
    assert converted.content == before
    converted = convert(source, format_="crowdpose")
    loaded = write_coco(converted, tmp_path / "new" / "out.json")
    assert loaded.images[0].crowd_index == 0.5
    assert not list(tmp_path.rglob("*.part"))
    mapped = load_annotations(tmp_path / "new" / "out.json", None, CROWDPOSE)
    stated = np.array(before["annotations"][1]["keypoints"]).reshape(14, 3)
    np.testing.assert_array_equal(mapped.people.keypoints[1], stated)


def test_stated_areas_stay(tmp_path: Path) -> None:
    source = crowdpose(tmp_path)
    content = json.loads(source.read_text())
    content["annotations"][0]["area"] = 7.5
    source.write_text(json.dumps(content))
    areas = [row["area"] for row in convert(source, format_="crowdpose").content["annotations"]]
    assert areas == [7.5, pytest.approx(0.53 * 46 * 80)]


def test_areas_that_cannot_be_used_are_replaced(tmp_path: Path) -> None:
    source = crowdpose(tmp_path)
    content = json.loads(source.read_text())
    first, second = content["annotations"]
    first |= {"area": 0, "segmentation": [[10, 10, 30, 10, 30, 20]]}
    second |= {"area": -3.0, "segmentation": [[]]}
    source.write_text(json.dumps(content))
    converted = convert(source, format_="crowdpose")
    assert [row["area"] for row in converted.content["annotations"]] == [100, pytest.approx(0.53 * 46 * 80)]
    assert converted.remarks == (
        "area added as 0.53 of the box (1)",
        "area added as that of the segmentation (1)",
    )


def test_joints_without_names_are_those_asked_for_if_they_are_as_many(tmp_path: Path) -> None:
    source = crowdpose(tmp_path, categories=[])
    wanted = Skeleton(name="own", keypoints=tuple("abcdefghijklmn"), flip_pairs=(), sigmas=())
    converted = convert(source, format_="crowdpose", skeleton=wanted)
    assert converted.content["categories"][0]["keypoints"] == list("abcdefghijklmn")
    assert write_coco(converted, tmp_path / "out.json").joints == wanted.keypoints


def test_one_of_several_categories(tmp_path: Path) -> None:
    names = list(CROWDPOSE.keypoints)
    categories = [{"id": n, "name": name, "keypoints": names} for n, name in ((3, "cat"), (4, "dog"))]
    source = crowdpose(tmp_path, categories=categories)
    content = json.loads(source.read_text())
    for row, id_ in zip(content["annotations"], (3, 4), strict=True):
        row["category_id"] = id_
    source.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"\(cat, dog\)"):
        convert(source, format_="crowdpose")
    dogs = convert(source, format_="crowdpose", category="dog")
    assert "annotations of other categories left out (1)" in dogs.remarks
    assert write_coco(dogs, tmp_path / "dogs.json").people.ids.tolist() == [6]
    every = write_coco(convert(source, format_="crowdpose", category="all"), tmp_path / "all.json")
    assert (every.category, every.people.ids.tolist()) == (3, [5, 6])


def test_missing_names_and_counts(tmp_path: Path) -> None:
    source = crowdpose(tmp_path, categories=[])
    content = json.loads(source.read_text())
    stated = [row.pop("num_keypoints") for row in content["annotations"]]
    source.write_text(json.dumps(content))
    converted = convert(source, format_="crowdpose")
    assert converted.content["categories"][0]["keypoints"] == list(CROWDPOSE.keypoints)
    assert [row["num_keypoints"] for row in converted.content["annotations"]] == stated


def test_another_skeleton(tmp_path: Path) -> None:
    source = crowdpose(tmp_path)
    coco = Skeleton.load("coco17")
    before = load_annotations(write_coco_of(source, tmp_path), None, coco)
    converted = convert(source, format_="crowdpose", skeleton=coco)
    after = write_coco(converted, tmp_path / "coco.json")
    assert after.skeleton.keypoints == coco.keypoints
    np.testing.assert_array_equal(after.people.keypoints[..., 2], before.people.keypoints[..., 2])
    labelled = after.people.keypoints[..., 2] > 0
    np.testing.assert_array_equal(after.people.keypoints[labelled], before.people.keypoints[labelled])
    assert after.people.num_keypoints.tolist() == labelled.sum(1).tolist()


def write_coco_of(source: Path, folder: Path) -> Path:
    write_coco(convert(source, format_="crowdpose"), folder / "plain.json")
    return folder / "plain.json"


def test_real_annotations_without_areas_come_back(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "lspet" / "annotations" / "crowdpose14_val.json"
    content = json.loads(path.read_text())
    for row in content["annotations"]:
        del row["area"]
    (tmp_path / "bare.json").write_text(json.dumps(content))
    write_coco(convert(tmp_path / "bare.json", format_="crowdpose"), tmp_path / "out.json")
    wanted = load_annotations(path, None, CROWDPOSE).people
    got = load_annotations(tmp_path / "out.json", None, CROWDPOSE).people
    np.testing.assert_array_equal(got.keypoints, wanted.keypoints)
    # Its own areas are 0.53 of its boxes as well, rounded.
    np.testing.assert_allclose(got.areas, wanted.areas, rtol=2e-3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"annotations": 3}, "no list 'annotations'"),
        ({"annotations": [3]}, "annotations[0] is not an object"),
        ({"images": [1]}, "images[0] is not an object"),
        ({"annotations": [{"id": 5, "image_id": 100}]}, "annotation 5: 'bbox' is missing"),
        (
            {"annotations": [{"id": 5, "image_id": 100, "bbox": [0, 0, 1, 1], "keypoints": [1, 2]}]},
            "'keypoints' has 2 numbers where 42 are needed",
        ),
        ({"categories": [{"keypoints": "all"}]}, "must be a list of names"),
        ({"images": []}, "it lists no image"),
        ({"annotations": []}, "nothing was written"),
        (
            {"images": [image(1, "a/b.jpg"), image(2, "a/./b.jpg")]},
            "image 1 and image 2 have the same file name",
        ),
    ],
)
def test_other_content(
    changes: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = crowdpose(tmp_path, **changes)
    output = tmp_path / "out.json"
    assert run(["data", "convert", "--from", "crowdpose", str(source), "--out", str(output)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert not output.exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = crowdpose(tmp_path), tmp_path / "out.json"
    arguments = ["data", "convert", "--from", "crowdpose", str(source), "--out"]
    assert run([*arguments, str(output)]) == 0
    said = capsys.readouterr()
    assert "2 images, 2 people (2 with labelled joints), 14 joints" in said.out
    assert "area added" in said.err
    assert run([*arguments, str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["joints"] == 14
    for rest, reason in (
        ([str(source)], "this is the source"),
        ([str(output), "--split", "val"], "--split means nothing for --from crowdpose"),
        ([str(output), "--skeleton", "nobody"], "nobody"),
    ):
        assert run([*arguments, *rest]) == 2
        assert reason in capsys.readouterr().err
