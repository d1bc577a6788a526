"""Networks that ship are known by name, wherever a file of one is taken."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from box_detectors import write_box_detector
from dot_model import write_dot_model

from nas import shipped
from nas.cli.main import run as nas
from nas.data import Annotations, load_annotations
from nas.data.images import read_annotated
from nas.errors import UserError
from nas.evaluate.loading import load_model
from nas.evaluate.validate import validate
from nas.labels.merge import overlaps
from nas.runtime import ColourFrame, OnnxModel, load_detector
from nas.space import Skeleton

ROOT = Path(__file__).parents[2]


@pytest.fixture
def dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network called `dots-0.7ms`, as if it shipped; the working folder is another one."""
    path = tmp_path / "root" / "subnets" / "dots-0.7ms.onnx"
    path.parent.mkdir(parents=True)
    write_dot_model(path, (32, 32))
    monkeypatch.setattr(shipped, "_root", lambda: tmp_path / "root")
    monkeypatch.chdir(tmp_path)
    return path


def test_a_name_is_a_network(dots: Path) -> None:
    assert OnnxModel("dots-0.7ms").path == dots
    assert load_model(Path("dots-0.7ms")).arch == OnnxModel(dots).arch


@pytest.fixture
def photo(tmp_path: Path) -> None:
    """`photo.png` in the working folder."""
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((64, 64, 3), 90, np.uint8))


@pytest.fixture
def finder(dots: Path) -> Path:
    """Finds one person in every picture."""
    return write_box_detector(dots.parent / f"{shipped.FINDER}.onnx", "rows")


def test_commands_take_it(finder: Path, photo: None, tmp_path: Path) -> None:
    assert nas(["predict", "dots-0.7ms", "photo.png", "--out", "drawn"]) == 0
    assert (tmp_path / "drawn" / "photo.png.png").is_file()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (("dots-0.7ms",), True),
        (("root/subnets/dots-0.7ms.onnx",), True),
        (("dots-0.7ms", "--detector", "none"), False),
        (("dots-0.7ms", "--detector", "root/subnets/person-finder.onnx"), False),
        (("own.onnx",), False),
        (("own.onnx", "--detector", "none"), False),
    ],
)
def test_one_that_sees_crops_gets_them_from_the_finder_unless_told_otherwise(
    given: tuple[str, ...],
    found: bool,
    finder: Path,
    dots: Path,
    photo: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(dots, "own.onnx")
    model, *options = given
    assert nas(["predict", model, "photo.png", "--no-draw", *options, "--json"]) == 0
    printed = capsys.readouterr()
    assert ("people are found by person-finder" in printed.err) == found
    asked = found or "root/subnets/person-finder.onnx" in options
    assert ("detect" in json.loads(printed.out)["ms"]) == asked


def test_what_is_there_by_that_name_is_meant_itself(dots: Path, tmp_path: Path) -> None:
    write_dot_model(tmp_path / "dots-0.7ms", (48, 32))
    assert OnnxModel("dots-0.7ms").resolution == (48, 32)


@pytest.mark.parametrize("name", ["dots-0.8ms", "dots"])
def test_other_names_are_refused_with_those_there_are(dots: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"'{name}' is neither a file nor .* subnets \(dots-0\.7ms\)"):
        OnnxModel(name)


def test_a_missing_file_stays_a_missing_file(dots: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.onnx"):
        OnnxModel("gone.onnx")


NETWORKS = sorted((ROOT / "subnets").glob("*.onnx"))
FINDERS = [path for path in NETWORKS if path.stem.startswith(shipped.FINDER)]
OF_CROPS = [path for path in NETWORKS if path not in FINDERS]


def test_what_ships_is_small() -> None:
    sizes = {path.name: path.stat().st_size for path in NETWORKS}
    assert sizes
    assert max(sizes.values()) <= 5 << 20
    assert sum(sizes.values()) <= 20 << 20


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_what_ships_says_what_it_is(path: Path) -> None:
    model = OnnxModel(path.stem)
    assert model.path.samefile(path)
    assert model.skeleton.name == "coco17"
    assert model.resolution == model.arch.resolution
    assert model.padding > 1
    assert f"| `{path.stem}` |" in path.with_name("README.md").read_text()


@pytest.fixture(scope="module")
def athletes(shared_data: Path) -> Annotations:
    folder = shared_data / "lspet"
    return load_annotations(
        folder / "annotations" / "coco17_val.json", folder / "images", Skeleton.load("coco17")
    )


@pytest.mark.parametrize("path", OF_CROPS, ids=lambda path: path.stem)
def test_what_ships_finds_joints(path: Path, athletes: Annotations) -> None:
    figures = validate(OnnxModel(path.stem), athletes.first(100)).figures
    assert figures["PCK_torso@0.2"] > (0.3 if path.stem.startswith("person-0.25ms") else 0.35)
    assert figures["AP50"] > 0.4


@pytest.mark.parametrize("path", FINDERS, ids=lambda path: path.stem)
def test_what_ships_finds_people(path: Path, athletes: Annotations) -> None:
    """Each photograph has one labelled person, who is mostly found, and by few other boxes."""
    detector, some = load_detector(path.stem), athletes.first(60)
    found = [detector([ColourFrame.of(read_annotated(some, image))])[0].boxes for image in range(60)]
    truth = [some.people.bbox[some.people_of(image)] for image in range(60)]
    sized = [np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]) for boxes in found]
    hits = [bool((overlaps(*pair) >= 0.5).any()) for pair in zip(sized, truth, strict=True)]
    assert np.mean(hits) > 0.7
    assert sum(map(len, found)) < 150
