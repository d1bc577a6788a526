"""A detector of any origin in onnxruntime, if it keeps the contract of docs/prediction.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from nas.arrays import Floats, Pixels
from nas.codecs.affine import Affine, apply_affine, image_affine, image_box, invert
from nas.codecs.exported import METADATA_KEY
from nas.errors import UserError
from nas.runtime.detector import Detector, FoundBoxes
from nas.runtime.frames import ColourFrame
from nas.runtime.output_layout import KNOWN, OutputLayout
from nas.runtime.pose_detector import PoseDetector
from nas.runtime.session import OnnxModel, open_network, run_network, takes_any_batch
from nas.shipped import network_file

PixelRange = Literal["rgb", "rgb255", "bgr255"]
"""What a file of floats wants to see: RGB from 0 to 1, or RGB or BGR from 0 to 255."""

MIN_SCORE = 0.3
"""Boxes of a lower score are left out, unless told otherwise."""

OVERLAP = 0.65
"""Intersection over union from which on two boxes are one person's, unless told otherwise."""

_GREY = (114.0, 114.0, 114.0)
"""Around the image, as detectors are trained."""

_USUAL_SIZE = (640, 640)
_MOST_BOXES = 300


class OnnxDetector:
    """People's boxes from an ONNX file of boxes and scores.

    It sees the whole image, shrunk and centred (letterbox). Boxes of one person are reduced to the best here,
    whether or not the file does so too.

    Args:
        path: the file.
        threads: CPU threads that one run uses.
        pixels: what it wants to see; a file of bytes sees them from 0 to 255 in any case.
        size: its input (h, w), px, where the file leaves it open; by default 640 x 640.
        min_score: boxes of a lower score are left out.
        overlap: intersection over union from which on two boxes are one person's.
        person: the number of the class that is people, where there are several.

    Raises:
        UserError: the file is missing, cannot be run, or its input or outputs are not those of the contract.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        threads: int = 1,
        pixels: PixelRange = "rgb",
        size: tuple[int, int] | None = None,
        min_score: float = MIN_SCORE,
        overlap: float = OVERLAP,
        person: int = 0,
    ) -> None:
        self.path = Path(path)
        self._session = open_network(self.path, threads)
        self._pixels = pixels
        self._min_score = min_score
        self._overlap = overlap
        self._person = person
        self._read_input(size)
        self._layout = self._read_outputs()

    @property
    def resolution(self) -> tuple[int, int]:
        """Input size (h, w), px."""
        return self._resolution

    def __call__(self, frames: Sequence[ColourFrame]) -> list[FoundBoxes]:
        """The people of each frame; all frames at once where the file's batch axis is open.

        Raises UserError where onnxruntime cannot run the graph.
        """
        affines = [image_affine(frame.size, self._resolution) for frame in frames]
        inputs = [
            frame.through(affine, self._resolution, border=_GREY, quick=True)
            for frame, affine in zip(frames, affines, strict=True)
        ]
        size = max(len(inputs), 1) if takes_any_batch(self._session) else 1
        found: list[FoundBoxes] = []
        for start in range(0, len(inputs), size):
            outputs = self._run(np.stack(inputs[start : start + size]))
            if len(outputs[self._layout.boxes]) < len(inputs[start : start + size]):
                raise UserError(
                    f"{self.path}: its batch axis is open, but it answers for one image alone; export it for "
                    "one image at a time"
                )
            for row, frame in enumerate(frames[start : start + size]):
                found.append(self._boxes(outputs, row, affines[start + row], frame.size))
        return found

    def _read_input(self, size: tuple[int, int] | None) -> None:
        """What the file wants to see. Raises UserError for anything but one RGB image."""
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or not _is_image(inputs[0]):
            told = "; ".join(f"{node.name}: {node.type} {list(node.shape)}" for node in inputs)
            raise UserError(
                f"{self.path}: a detector has one input [B, 3, H, W] or [B, H, W, 3] of floats or uint8, B "
                f"being 1 or open; this file has {told or 'none'}"
            )
        self._input = inputs[0].name
        self._floats = inputs[0].type == "tensor(float)"
        shape = inputs[0].shape
        self._channels_last = shape[1] != 3
        height, width = (
            side if isinstance(side, int) else usual
            for side, usual in zip(
                shape[1:3] if self._channels_last else shape[2:], size or _USUAL_SIZE, strict=True
            )
        )
        if min(height, width) < 1:
            raise UserError(f"{self.path}: its input is {height} x {width} pixels: nothing can be seen there")
        self._resolution = height, width

    def _read_outputs(self) -> OutputLayout:
        """The layout of what it gives for a grey image. Raises UserError where it is no known one."""
        outputs = self._run(np.full((1, *self._resolution, 3), round(_GREY[0]), np.uint8))
        layout = OutputLayout.of(outputs, self._resolution)
        if layout is None:
            shapes = "; ".join(f"{array.dtype} {list(array.shape)}" for array in outputs)
            raise UserError(
                f"{self.path}: its outputs ({shapes}) are not those of a detector that is understood: {KNOWN}"
            )
        if self._person >= layout.classes > 1:
            raise UserError(f"{self.path}: it has {layout.classes} classes, no number {self._person}")
        return layout

    def _run(self, images: Pixels) -> list[NDArray[Any]]:
        """All outputs for RGB images [B, H, W, 3]."""
        inputs: NDArray[Any] = images[..., ::-1] if self._pixels == "bgr255" else images
        if not self._channels_last:
            inputs = inputs.transpose(0, 3, 1, 2)
        if self._floats:
            inputs = inputs.astype(np.float32) / np.float32(1 if self._pixels.endswith("255") else 255)
        return run_network(self._session, {self._input: np.ascontiguousarray(inputs)}, self.path)

    def _boxes(
        self, outputs: Sequence[NDArray[Any]], row: int, affine: Affine, size: tuple[int, int]
    ) -> FoundBoxes:
        """The people of one image, in its pixels."""
        corners, scores = self._layout.read(outputs, row, self._person)
        usable = np.isfinite(corners).all(1) & (scores >= self._min_score)
        rows = np.flatnonzero(usable)
        rows = rows[np.argsort(-scores[rows], kind="stable")][:_MOST_BOXES]
        corners, scores = corners[rows], scores[rows]
        kept = _once(corners, scores, self._overlap)
        # Detectors count from the first pixel's edge, poses from its centre.
        points = apply_affine(corners[kept].reshape(-1, 2) - 0.5, invert(affine))
        low, high = image_box(size)[:2], image_box(size)[2:]
        boxes = np.clip(points, low, high).reshape(-1, 4)
        sized = (boxes[:, 2:] > boxes[:, :2]).all(1)
        return FoundBoxes(boxes[sized], scores[kept][sized])


def load_detector(
    path: Path | str, *, threads: int = 1, detector_pixels: PixelRange | None = None
) -> Detector:
    """The detector of an ONNX file: a network of this project for whole images, or one of any origin.

    Args:
        path: the file, or the name of a network that ships.
        threads: CPU threads that one run uses.
        detector_pixels: what a file of other origin wants to see; left out, RGB from 0 to 1.

    Raises:
        UserError: as `OnnxDetector` does; or a network of this project sees crops, or is told its
            `detector_pixels`.
    """
    path = network_file(path)
    session = open_network(path, threads)
    if METADATA_KEY not in session.get_modelmeta().custom_metadata_map:
        return OnnxDetector(path, threads=threads, pixels=detector_pixels or "rgb")
    model = OnnxModel(path, threads=threads)
    if model.task != "image":
        raise UserError(
            f"{path}: a detector finds people in whole images; this network sees crops of one each"
        )
    if detector_pixels is not None:
        raise UserError(f"{path}: this network says itself what it sees; leave `detector_pixels` out")
    return PoseDetector(model)


def _once(corners: Floats, scores: Floats, overlap: float) -> NDArray[np.intp]:
    """The rows of boxes [N, 4] that overlap no better one (non-maximum suppression)."""
    if not len(corners):
        return np.zeros(0, np.intp)
    sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    return np.asarray(cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), 0.0, overlap), np.intp).reshape(-1)


def _is_image(node: Any) -> bool:
    """Whether an input takes RGB images, one at least."""
    shape = node.shape
    if node.type not in ("tensor(float)", "tensor(uint8)") or len(shape) != 4:
        return False
    return 3 in (shape[1], shape[3]) and (shape[0] == 1 or not isinstance(shape[0], int))
