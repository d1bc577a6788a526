"""Labels and answers side by side."""

import numpy as np
import pytest

from nas.codecs import Poses
from nas.data import Annotations, load_annotations
from nas.demo.people import generate
from nas.report.samples import _chosen, _row, _window
from nas.space import Skeleton


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Annotations:
    folder = tmp_path_factory.mktemp("people")
    file = generate(folder, images=12, seed=3, people_per_image=(2, 2))
    return load_annotations(file, folder / "images", Skeleton.load("coco17"))


class Oracle:
    """A pipeline that answers with the labels of the boxes that it is shown, or with nothing."""

    def __init__(self, people: Annotations, task: str, *, blind: bool = False) -> None:
        self.model = self
        self.task = task
        self.people = people.people
        self.blind = blind

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None) -> Poses:
        assert (boxes is None) == (self.task == "image")
        rows = [] if self.blind else [row for row in range(len(self.people)) if self._meant(row, boxes)]
        return Poses(self.people.keypoints[rows], np.ones(len(rows)))

    def _meant(self, row: int, boxes: np.ndarray | None) -> bool:
        return boxes is None or any(np.array_equal(self.people.boxes[row], box) for box in boxes)


@pytest.mark.parametrize("task", ["crop", "image"])
def test_answers_are_told_by_how_near_they_are(people: Annotations, task: str) -> None:
    networks = {"good": Oracle(people, task), "blind": Oracle(people, task, blind=True)}
    labels, good, blind = _row(people, int(people.labelled_images[0]), networks)  # type: ignore[arg-type]
    assert (labels.caption, good.caption, blind.caption) == ("labels", "good: OKS 1.00", "blind: OKS 0.00")
    assert len({labels.jpeg, blind.jpeg}) == 2


def test_pictures_are_taken_evenly_and_never_twice(people: Annotations) -> None:
    chosen = _chosen([people])
    positions = [position for _, position in chosen]
    assert len(set(positions)) == len(positions) == 6
    assert [positions[0], positions[-1]] == people.labelled_images[[0, -1]].tolist()
    assert len(_chosen([people.first(2)])) == len(people.first(2).labelled_images)
    assert _chosen([]) == []


def test_what_is_shown_holds_everyone_and_stays_inside_the_picture() -> None:
    boxes = np.array([[10.0, 20, 30, 60], [50, 5, 70, 40]])
    x0, y0, x1, y1 = _window(boxes, (64, 100))
    assert x0 < 10
    assert 70 < x1 < 100
    assert (y0, y1) == (0, 64)
    x0, y0, x1, y1 = _window(np.array([[200.0, 90, 220, 95]]), (64, 100))
    assert 0 <= x0 < x1 <= 100
    assert 0 <= y0 < y1 <= 64
