"""Generated folders: valid COCO, reproducible, restartable, and not trivial."""

import json
import multiprocessing
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from nas.data import load_annotations
from nas.demo.people import generate
from nas.demo.people.scene import Scene, render_scene
from nas.errors import UserError
from nas.evaluate import mean_pose_baseline
from nas.space.skeleton import Skeleton

SMALL: dict[str, Any] = {"images": 6, "seed": 5, "size": (96, 128)}
RENDER = "nas.demo.people.generation.render_scene"


def _contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def _keypoints(path: Path) -> np.ndarray:
    people = json.loads(path.read_text())["annotations"]
    return np.array([person["keypoints"] for person in people]).reshape(len(people), -1, 3)


def test_same_seed_same_files_other_seed_other_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate(tmp_path / name, **SMALL)
    generate(tmp_path / "c", **(SMALL | {"seed": 6}))
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")
    assert _contents(tmp_path / "a")["images/000000.jpg"] != _contents(tmp_path / "c")["images/000000.jpg"]


@pytest.mark.slow
def test_workers_change_nothing_even_those_that_are_killed(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"images": 160, "seed": 5, "size": (96, 128)}

    def lose_workers(done: int, total: int) -> None:
        for worker in multiprocessing.active_children():
            worker.kill()

    generate(tmp_path / "one", **settings)
    with pytest.raises(UserError, match=r"a worker process was killed.*goes on from what is drawn"):
        generate(tmp_path / "two", workers=2, progress=lose_workers, **settings)
    generate(tmp_path / "two", workers=2, **settings)
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_pycocotools_reads_it(train_set: Path) -> None:
    coco = COCO(str(train_set))
    assert len(coco.getImgIds()) == 40
    assert coco.loadCats(1)[0]["keypoints"] == list(Skeleton.load("coco17").keypoints)
    for person in coco.loadAnns(coco.getAnnIds()):
        x, y, w, h = person["bbox"]
        image = coco.loadImgs(person["image_id"])[0]
        assert min(x, y) >= 0
        assert x + w <= image["width"]
        assert y + h <= image["height"]
        flags = np.array(person["keypoints"][2::3])
        assert person["num_keypoints"] == (flags > 0).sum() >= 6
        inside = coco.annToMask(person).sum()
        assert 0.75 * person["area"] < inside <= 1.05 * person["area"]


def test_own_loader_reads_it(train_set: Path) -> None:
    folder = train_set.parent.parent / "images"
    annotations = load_annotations(train_set, folder, Skeleton.load("coco17"))
    assert len(annotations.images) == 40
    image = cv2.imread(str(folder / "000000.jpg"))
    assert image.shape == (224, 288, 3)
    assert image.std() > 5


def test_labelled_joints_lie_in_the_box_and_the_image(train_set: Path) -> None:
    people = json.loads(train_set.read_text())["annotations"]
    for person in people:
        keypoints = np.array(person["keypoints"]).reshape(-1, 3)
        seen = keypoints[keypoints[:, 2] > 0, :2]
        low, size = np.array(person["bbox"][:2]), np.array(person["bbox"][2:])
        assert (seen >= low - 2).all()
        assert (seen <= low + size + 1).all()
        assert (keypoints[keypoints[:, 2] == 0] == 0).all()


def test_all_flags_occur_and_most_joints_are_seen(train_set: Path, val_set: Path) -> None:
    flags = np.concatenate([_keypoints(train_set)[:, :, 2], _keypoints(val_set)[:, :, 2]])
    assert 0.002 < (flags == 0).mean() < 0.1
    assert 0.1 < (flags == 1).mean() < 0.45


def test_people_are_large_and_several(train_set: Path) -> None:
    data = json.loads(train_set.read_text())
    sides = [max(person["bbox"][2:]) for person in data["annotations"]]
    assert np.quantile(sides, 0.1) > 80
    per_image = np.bincount([person["image_id"] for person in data["annotations"]])[1:]
    assert set(per_image) == {1, 2, 3}


def test_average_pose_scores_next_to_nothing(train_set: Path, val_set: Path) -> None:
    skeleton = Skeleton.load("coco17")
    train, val = (load_annotations(p, p.parent.parent / "images", skeleton) for p in (train_set, val_set))
    assert mean_pose_baseline(train, val)["AP"] < 0.06


@pytest.mark.parametrize("name", ["crowdpose14", "mpii16"])
def test_other_skeletons_label_the_same_people(tmp_path: Path, name: str) -> None:
    coco = _keypoints(generate(tmp_path / "coco", **SMALL))
    other = _keypoints(generate(tmp_path / name, skeleton=name, **SMALL))
    a, b = (Skeleton.load(n).index("left_knee") for n in ("coco17", name))
    np.testing.assert_array_equal(coco[:, a], other[:, b])


def test_a_finished_folder_is_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = generate(tmp_path, **SMALL)
    before = first.stat().st_mtime_ns
    monkeypatch.setattr(RENDER, lambda *_, **__: pytest.fail("was drawn again"))
    assert generate(tmp_path, **SMALL) == first
    assert first.stat().st_mtime_ns == before


def test_a_lost_image_is_drawn_again(tmp_path: Path) -> None:
    generate(tmp_path, **SMALL)
    before = _contents(tmp_path)
    (tmp_path / "images" / "000003.jpg").unlink()
    generate(tmp_path, **SMALL)
    assert _contents(tmp_path) == before


def _interrupt_after(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = count()

    def render(*args: Any, **kwargs: Any) -> Scene:
        if next(drawn) == images:
            raise KeyboardInterrupt
        return render_scene(*args, **kwargs)

    monkeypatch.setattr(RENDER, render)


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.demo.people.generation._PART", 2)
    _interrupt_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "stopped", **SMALL)
    assert not (tmp_path / "stopped" / "annotations" / "people.json").exists()
    _interrupt_after(4, monkeypatch)  # what is left of six images in pieces of two
    steps: list[tuple[int, int]] = []
    generate(tmp_path / "stopped", progress=lambda done, total: steps.append((done, total)), **SMALL)
    assert steps == [(4, 6), (6, 6)]
    monkeypatch.undo()
    generate(tmp_path / "straight", **SMALL)
    assert _contents(tmp_path / "stopped") == _contents(tmp_path / "straight")


def test_an_interrupted_run_of_other_settings_starts_afresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.demo.people.generation._PART", 2)
    _interrupt_after(5, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "stopped", **SMALL)
    monkeypatch.undo()
    fewer = SMALL | {"images": 3, "seed": 9}
    generate(tmp_path / "stopped", **fewer)
    generate(tmp_path / "straight", **fewer)
    assert _contents(tmp_path / "stopped") == _contents(tmp_path / "straight")


def test_other_finished_people_are_not_overwritten(tmp_path: Path) -> None:
    generate(tmp_path, **SMALL)
    with pytest.raises(UserError, match=r"seed 5 -> 6.*delete it or name another folder"):
        generate(tmp_path, **(SMALL | {"seed": 6}))


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("keep")
    with pytest.raises(UserError, match="holds other files"):
        generate(tmp_path, **SMALL)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"images": 0}, "images is 0"),
        ({"size": (32, 128)}, "at least 64 px"),
        ({"people_per_image": (2, 1)}, "fewest <= most"),
        ({"skeleton": Skeleton("odd", ("nose", "tail"), (), (0.1, 0.1))}, "tail"),
    ],
)
def test_senseless_settings_are_refused(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        generate(tmp_path, **(SMALL | wrong))


def test_other_seeds_give_other_pictures(tmp_path: Path) -> None:
    for seed in (1, 2):
        generate(tmp_path / str(seed), **(SMALL | {"seed": seed, "images": 3}))
    first, second = (set(_contents(tmp_path / str(seed) / "images").values()) for seed in (1, 2))
    assert not first & second
