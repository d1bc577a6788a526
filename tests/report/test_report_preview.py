"""The picture of augmented samples."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from nas.cli.main import run
from nas.codecs import People
from nas.demo.people import generate
from nas.report.preview import UNCOUNTED, _view
from nas.space import Skeleton


@pytest.fixture(scope="module")
def people_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    generate(folder / "train", images=4, seed=1)
    return folder


def test_a_picture_shows_so_many_samples(people_folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "new" / "samples.png"
    command = ["data", "preview", "demo", "--set", f"data.root={people_folder}"]
    assert run([*command, "--out", str(picture), "--count", "5", "--columns", "2"]) == 0
    sheet = cv2.imread(str(picture))
    assert sheet is not None
    rows, columns = sheet.shape[0] // 3, sheet.shape[1] // 2
    filled = [
        sheet[r * rows : (r + 1) * rows, c * columns : (c + 1) * columns] for r in range(3) for c in (0, 1)
    ]
    blank = [bool((cell[8:-8, 8:-8] == 255).all()) for cell in filled]
    assert blank == [False] * 5 + [True]
    again = tmp_path / "again.png"
    assert run([*command, "--out", str(again), "--count", "5", "--columns", "2"]) == 0
    assert again.read_bytes() == picture.read_bytes()


@pytest.mark.parametrize("name", ["samples.txt", "samples", "black-and-white.pbm"])
def test_the_name_must_be_a_pictures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "preview", "demo", "--out", name]) == 2
    assert "expected the name of a picture" in capsys.readouterr().err


def test_joints_are_drawn_where_they_are_and_masked_regions_are_dark() -> None:
    skeleton = Skeleton.load("coco17")
    keypoints = np.zeros((1, len(skeleton), 3))
    keypoints[0, 0] = (20, 10, 2)
    keypoints[0, 1] = (5, 25, 0)
    mask = np.ones((32, 32), bool)
    mask[:, 24:] = False
    image = np.full((32, 32, 3), 200, np.uint8)
    drawn = _view(image, People(keypoints, np.ones(1), np.zeros((1, 4)), mask), skeleton, 3)
    assert drawn.shape == (96, 96, 3)
    assert (drawn[:, 80:] == round(200 * UNCOUNTED)).all()
    changed = np.argwhere((drawn[:, :68] != 200).any(2))
    assert np.abs(changed.mean(0) - (31, 61)).max() < 0.5
