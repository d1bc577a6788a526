"""Detectors of any origin, by the contract: input, layouts, letterbox, doubles, other classes, faults."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from box_detectors import LAYOUTS, write_box_detector
from dot_model import write_dot_model
from onnx import TensorProto, helper

from nas.codecs import Poses
from nas.errors import UserError
from nas.runtime import OnnxDetector, PoseDetector, load_detector
from nas.runtime.frames import ColourFrame
from nas.runtime.onnx_detector import PixelRange
from nas.runtime.output_layout import OutputLayout
from nas.runtime.pose_detector import MIN_BOX
from nas.runtime.poses import pose_boxes
from nas.space.skeleton import Skeleton

LIT = (20, 10, 50, 40)
"""x0, y0, x1, y1 of the edges of the bright pixels: from the centre of the first, half a pixel less."""
EXPECTED = np.array(LIT) - 0.5


def lit(size: tuple[int, int] = (64, 64), box: tuple[int, int, int, int] = LIT) -> ColourFrame:
    x0, y0, x1, y1 = box
    pixels = np.full((*size, 3), 30, np.uint8)
    pixels[y0:y1, x0:x1] = 250
    return ColourFrame(pixels)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_box_once_and_people_only(layout: str, tmp_path: Path) -> None:
    """The best, a double of it, somebody apart who is unsure, and where classes are told a dog."""
    offsets = [(2, 2, 2, 2), (0, 0, 0, 0), (-18, -8, -35, -15), (10, 20, 10, 20)]
    path = write_box_detector(
        tmp_path / "boxes.onnx",
        layout,
        offsets=offsets,
        scores=[0.6, 0.9, 0.2, 0.8],
        classes=[0, 0, 0, 0 if layout in ("apart", "rows") else 1],
    )
    (found,) = OnnxDetector(path)([lit()])
    dog = layout in ("apart", "rows")
    np.testing.assert_allclose(found.scores, [0.9, 0.8] if dog else [0.9], rtol=1e-6)
    np.testing.assert_allclose(found.boxes[0], EXPECTED, atol=1e-4)
    (unsure,) = OnnxDetector(path, min_score=0.1)([lit()])
    assert len(unsure.boxes) == len(found.boxes) + 1
    (twice,) = OnnxDetector(path, overlap=0.95)([lit()])
    assert len(twice.boxes) == len(found.boxes) + 1
    if layout not in ("apart", "rows"):
        (dogs,) = OnnxDetector(path, person=1)([lit()])
        np.testing.assert_allclose(dogs.boxes, [EXPECTED + np.array((10, 20, 10, 20))], atol=1e-4)


@pytest.mark.parametrize(("size", "box"), [((128, 64), (10, 40, 40, 100)), ((48, 300), (60, 8, 200, 40))])
def test_boxes_come_back_through_the_letterbox(
    size: tuple[int, int], box: tuple[int, int, int, int], tmp_path: Path
) -> None:
    path = write_box_detector(tmp_path / "boxes.onnx", "rows")
    (found,) = OnnxDetector(path)([lit(size, box)])
    np.testing.assert_allclose(found.boxes, [np.array(box) - 0.5], atol=1.5 * max(size) / 64)


def test_boxes_end_where_the_image_does(tmp_path: Path) -> None:
    path = write_box_detector(
        tmp_path / "boxes.onnx", "rows", offsets=[(-40, -40, 40, 40), (90, 0, 90, 0)], scores=[0.9, 0.8]
    )
    (found,) = OnnxDetector(path)([lit()])
    np.testing.assert_allclose(found.boxes, [[-0.5, -0.5, 63.5, 63.5]])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("uint8", [False, True])
@pytest.mark.parametrize("batch", [1, "n"])
def test_inputs(batch: int | str, uint8: bool, channels_last: bool, tmp_path: Path) -> None:
    path = write_box_detector(
        tmp_path / "boxes.onnx", "apart", batch=batch, uint8=uint8, channels_last=channels_last
    )
    frames = [lit(), lit(box=(5, 6, 30, 60)), ColourFrame(lit().pixels[..., ::-1], bgr=True)]
    found = OnnxDetector(path)(frames)
    np.testing.assert_allclose(
        np.concatenate([each.boxes for each in found]),
        [EXPECTED, (4.5, 5.5, 29.5, 59.5), EXPECTED],
        atol=1e-4,
    )
    assert OnnxDetector(path)([]) == []


@pytest.mark.parametrize(
    ("pixels", "uint8", "expected"),
    [
        ("rgb", False, (1.0, 0.2, 0.0)),
        ("rgb255", False, (255, 51, 0)),
        ("bgr255", False, (0, 51, 255)),
        ("rgb", True, (255, 51, 0)),
        ("bgr255", True, (0, 51, 255)),
    ],
)
def test_what_a_file_wants_to_see(
    pixels: PixelRange,
    uint8: bool,
    expected: tuple[float, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_box_detector(tmp_path / "boxes.onnx", "rows", uint8=uint8)
    detector = load_detector(path, detector_pixels=pixels)
    seen: list[np.ndarray] = []

    def run(session: object, feed: dict[str, np.ndarray], path: Path) -> list[np.ndarray]:
        seen.extend(feed.values())
        return [np.zeros((1, 0, 5), np.float32)]

    monkeypatch.setattr("nas.runtime.onnx_detector.run_network", run)
    detector([ColourFrame(np.full((64, 64, 3), (255, 51, 0), np.uint8))])
    assert seen[0].dtype == (np.uint8 if uint8 else np.float32)
    np.testing.assert_allclose(seen[0][0, :, 5, 7], expected, rtol=1e-6)


def test_an_open_size_is_given_or_usual(tmp_path: Path) -> None:
    path = write_box_detector(tmp_path / "boxes.onnx", "rows")
    model = onnx.load(path)
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "side"
    onnx.save(model, path)
    assert OnnxDetector(path).resolution == (640, 640)
    detector = OnnxDetector(path, size=(64, 64))
    (found,) = detector([lit()])
    np.testing.assert_allclose(found.boxes, [EXPECTED], atol=1e-4)


def other_model(
    path: Path, *, shape: list[int], outputs: list[list[int]], kind: int = TensorProto.FLOAT
) -> Path:
    """A file that gives zeros of these shapes, whatever it sees."""
    nodes = [
        helper.make_node(
            "ConstantOfShape",
            [f"shape{n}"],
            [f"out{n}"],
            value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0]),
        )
        for n in range(len(outputs))
    ]
    graph = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(f"out{n}", TensorProto.FLOAT, out) for n, out in enumerate(outputs)],
        [
            helper.make_tensor(f"shape{n}", TensorProto.INT64, [len(out)], out)
            for n, out in enumerate(outputs)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("shape", "outputs", "said"),
    [
        ([1, 3, 32, 32], [[1, 1000]], r"float32 \[1, 1000\].*not those of a detector"),
        ([1, 3, 32, 32], [[1, 300, 57]], "not those of a detector"),
        ([1, 3, 32, 32], [[1, 300, 6], [1, 300, 7]], "not those of a detector"),
        ([1, 1, 32, 32], [[1, 10, 5]], "a detector has one input"),
        ([8, 3, 32, 32], [[8, 10, 5]], "a detector has one input"),
        ([1, 3, 32], [[1, 10, 5]], "a detector has one input"),
        ([1, 3, 0, 32], [[1, 10, 5]], "0 x 32 pixels"),
    ],
)
def test_other_files_are_refused_in_one_line(
    shape: list[int], outputs: list[list[int]], said: str, tmp_path: Path
) -> None:
    path = other_model(tmp_path / "other.onnx", shape=shape, outputs=outputs)
    with pytest.raises(UserError, match=said) as caught:
        OnnxDetector(path)
    assert str(caught.value).startswith(str(path))


def test_a_class_that_there_is_not(tmp_path: Path) -> None:
    path = write_box_detector(tmp_path / "boxes.onnx", "columns")
    with pytest.raises(UserError, match="2 classes, no number 2"):
        OnnxDetector(path, person=2)


@pytest.mark.parametrize(
    ("shapes", "kind"),
    [
        ([(1, 84, 8400)], "columns"),
        ([(1, 5, 8400)], "columns"),
        ([(1, 56, 8400), (1, 32, 160, 160)], "columns"),
        ([(1, 300, 6)], "end_to_end"),
        ([(1, 0, 5)], "rows"),
        ([(1, 25200, 85)], "objectness"),
        ([(1, 8400, 85)], "objectness"),
        ([(1, 8400, 6)], "objectness"),
        ([(1, 25200, 6)], "objectness"),
        ([(1, 100, 4), (1, 100)], "apart"),
        ([(1, 100, 80), (1, 100, 4)], "apart"),
        ([(1, 8000, 85)], None),
        ([(1, 100, 4)], None),
        ([], None),
    ],
)
def test_layouts_are_told_by_shapes(shapes: list[tuple[int, ...]], kind: str | None) -> None:
    layout = OutputLayout.of([np.zeros(shape, np.float32) for shape in shapes], (640, 640))
    assert (layout and layout.kind) == kind


def test_numbers_that_are_none_are_nobody(tmp_path: Path) -> None:
    path = write_box_detector(
        tmp_path / "boxes.onnx", "rows", offsets=[(np.nan, 0, 0, 0), (0, 0, 0, 0)], scores=[0.9, 0.5]
    )
    (found,) = OnnxDetector(path)([lit()])
    np.testing.assert_allclose(found.scores, [0.5], rtol=1e-6)


class WholeImages:
    """A network for whole images that finds the same people in every input."""

    task = "image"
    resolution = (40, 40)
    padding = 1.25
    skeleton = Skeleton("points", ("a", "b", "c"), (), (0.1, 0.1, 0.1))

    def __init__(self, poses: Poses) -> None:
        self.codec = SimpleNamespace(group=lambda candidates: poses)

    def candidates(self, images: np.ndarray) -> list[dict[str, np.ndarray]]:
        return [{} for _ in images]


def test_a_network_for_whole_images_is_a_detector() -> None:
    person = np.array([[5.0, 5, 0.9], [15, 25, 0.9], [10, 10, 0.9]])
    others = [person + np.array(step) for step in ((1, 0, 0), (20, 0, 0))]
    others.append(person * (0, 0, 1) + np.array((9, 9, 0)))
    poses = Poses(np.stack([person, *others]), np.array([0.9, 0.8, 0.05, 0.7]))
    (found,) = PoseDetector(WholeImages(poses))([ColourFrame(np.zeros((80, 80, 3), np.uint8))])
    np.testing.assert_allclose(found.boxes, pose_boxes(person[None] * (2, 2, 1) + np.array((0.5, 0.5, 0))))
    assert found.scores.tolist() == [0.9]


def test_it_gives_the_boxes_that_its_head_says() -> None:
    person = np.array([[5.0, 5, 0.9], [15, 25, 0.9], [10, 10, 0.1]])
    people = np.stack([person + np.array((step, 0, 0)) for step in (0, 20, 40)])
    boxes = np.array([[2.0, 1, 19, 33], [22.0, 1, 38, 30], [42.0, 1, 58, 30]])
    poses = Poses(people, np.array([0.9, 0.8, MIN_BOX - 0.01]), boxes)
    (found,) = PoseDetector(WholeImages(poses))([ColourFrame(np.zeros((80, 80, 3), np.uint8))])
    np.testing.assert_allclose(found.boxes, 2 * boxes[:2] + 0.5)


def test_files_of_this_project_say_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sees crops"):
        load_detector(write_dot_model(tmp_path / "dots.onnx", (64, 48)))
    path = write_box_detector(tmp_path / "boxes.onnx", "rows")
    assert isinstance(load_detector(path), OnnxDetector)
    with pytest.raises(UserError, match="no such model file"):
        load_detector(tmp_path / "absent.onnx")
