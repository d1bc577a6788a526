"""What is written for other programs."""

import errno
import json
import signal
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import nas.runtime.records
from nas.codecs import Poses
from nas.errors import UserError
from nas.files import DiskFullError
from nas.runtime.frames import FramePoses
from nas.runtime.prediction import Prediction
from nas.runtime.records import Records, numbered_images
from nas.runtime.results import Detection


def prediction(source: str, *, number: int = 0, **where: float) -> Prediction:
    keypoints = np.array([[[1.234, 5.678, 0.98764], [3, 4, 0.5]]])
    people = FramePoses(
        Poses(keypoints, np.array([0.7])), np.array([[0.0, 1, 2, np.nan]]), np.array([number]), detected=False
    )
    return Prediction(source, people, {"network": 1.23456}, **where)  # type: ignore[arg-type]


def test_a_line_for_every_image_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lines.jsonl"
    with Records(lines=path) as records:
        records.add(prediction("a.jpg"))
        assert len(path.read_text().splitlines()) == 1
        records.add(prediction("b.mp4", number=3, frame=7, seconds=0.28))
    first, second = map(json.loads, path.read_text().splitlines())
    person = {"score": 0.7, "box": [0, 1, 2, None], "keypoints": [[1.23, 5.68, 0.9876], [3, 4, 0.5]]}
    assert first == {
        "source": "a.jpg",
        "image_id": 1,
        "detected": False,
        "people": [person],
        "ms": {"network": 1.235},
    }
    assert second["image_id"] == 2
    assert (second["frame"], second["seconds"]) == (7, 0.28)
    assert second["people"] == [{"id": 3, **person}]


def test_results_are_kept_whatever_ends_the_work(tmp_path: Path) -> None:
    path = tmp_path / "results.json"

    def break_off() -> None:
        with Records(results=path, ids={"in/12.jpg": 12}) as records:
            records.add(prediction("in/12.jpg"))
            records.add(prediction("in/13.jpg"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert json.loads(path.read_text()) == [
        {
            "image_id": image,
            "category_id": 1,
            "keypoints": [1.23, 5.68, 0.99, 3.0, 4.0, 0.5],
            "score": 0.7,
        }
        for image in (12, 2)
    ]


def test_a_second_ctrl_c_costs_no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = nas.runtime.records.write_results

    def held_down(path: Path, detections: Sequence[Detection]) -> None:
        signal.raise_signal(signal.SIGINT)
        write(path, detections)

    monkeypatch.setattr(nas.runtime.records, "write_results", held_down)
    with Records(results=tmp_path / "results.json") as records:
        records.add(prediction("a.jpg"))
    assert len(json.loads((tmp_path / "results.json").read_text())) == 1


@pytest.mark.parametrize("which", ["lines", "results"])
def test_what_exists_is_not_written_onto(which: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text("mine")
    with pytest.raises(UserError, match=r"mine\.json: exists already"):
        Records(**{which: path})
    assert path.read_text() == "mine"


def test_results_are_kept_where_the_disk_took_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(lines=tmp_path / "lines.jsonl", results=tmp_path / "results.json")
    records.add(prediction("a.jpg"))

    def refuse() -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(records, "_lines", SimpleNamespace(close=refuse))
    with pytest.raises(DiskFullError):
        records.close()
    assert len(json.loads((tmp_path / "results.json").read_text())) == 1


def test_what_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for which in ("lines", "results"):
        with pytest.raises(UserError, match="cannot be written"):
            Records(**{which: tmp_path / "file" / "a.json"})
    with pytest.raises(UserError, match="name two files"):
        Records(lines=tmp_path / "a.json", results=tmp_path / "a.json")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_images_called_by_numbers_have_these_ids() -> None:
    assert numbered_images([Path("x/000012.jpg"), Path("7.png")]) == {"x/000012.jpg": 12, "7.png": 7}
    for names in (["1.jpg", "a.jpg"], ["x/1.jpg", "y/01.jpg"], ["0.jpg"]):
        assert numbered_images([Path(name) for name in names]) == {}
