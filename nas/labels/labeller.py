"""The people of one image, as a network sees them."""

import numpy as np

from nas.arrays import Floats, Pixels
from nas.coco.table import centred
from nas.data.convert.boxes import joints_box
from nas.labels.images import LabelImage
from nas.labels.merge import labels_of
from nas.labels.poses import ImagePoses, TaughtPose
from nas.labels.settings import LabelSettings, Views
from nas.labels.views import least_drawn, poses_of_boxes, poses_of_image
from nas.runtime import PoseModel, PosePipeline


class Labeller:
    """Finds the people of images and their poses.

    Args:
        model: that labels them.
        detector: a network for whole images; the people that it finds are shown to `model`, one by one.
        settings: of both.
    """

    def __init__(
        self, model: PoseModel, *, detector: PoseModel | None = None, settings: LabelSettings
    ) -> None:
        self.model = model
        self.detector = detector
        self.settings = settings
        self._pipeline = PosePipeline(model)
        self._finder = None if detector is None else PosePipeline(detector)

    def __call__(self, image: LabelImage, pixels: Pixels) -> ImagePoses:
        """The poses in an image [H, W, 3]; of a network for crops one for each box, found or not.

        Raises:
            UserError: a network cannot be run, or a box lies far from any image.
        """
        height, width = pixels.shape[:2]
        size = height, width
        if self.model.task == "image":
            found = poses_of_image(self._pipeline, pixels, self.settings.views)
            boxes: list[tuple[float, ...] | None] = [None] * len(found)
        else:
            given = self._detected(pixels, size) if image.boxes is None else image.boxes
            boxes = [tuple(box) for box in given.tolist()]
            found = poses_of_boxes(self._pipeline, pixels, centred(given), self.settings.views)
        return ImagePoses(
            size,
            tuple(
                TaughtPose(keypoints, float(score), box)
                for keypoints, score, box in zip(found.keypoints, found.scores, boxes, strict=True)
            ),
        )

    def _detected(self, pixels: Pixels, size: tuple[int, int]) -> Floats:
        """Boxes [N, 4] (x, y, width, height) around the joints of everyone whom the detector finds."""
        assert self._finder is not None
        found = poses_of_image(self._finder, pixels, Views())
        boxes = []
        for keypoints, score in zip(found.keypoints, found.scores, strict=True):
            box = joints_box(labels_of(keypoints, size, least=least_drawn(keypoints)), size, [])
            if score >= self.settings.min_box and box is not None:
                boxes.append(box)
        return np.array(boxes, np.float64).reshape(-1, 4)
