"""Running an exported model with numpy, scipy, opencv and onnxruntime only.

Names load on first use, as those of `nas`: whoever imports this pays for what they take.
"""

from typing import TYPE_CHECKING

from nas.lazy import on_first_use

if TYPE_CHECKING:
    from nas.pictures import read_picture as read_image
    from nas.runtime.detector import Detector, FoundBoxes
    from nas.runtime.drawing import draw_people, draw_poses
    from nas.runtime.frames import ColourFrame, FramePoses
    from nas.runtime.model import PoseModel
    from nas.runtime.onnx_detector import OnnxDetector, load_detector
    from nas.runtime.pipeline import PosePipeline
    from nas.runtime.pose_detector import PoseDetector
    from nas.runtime.session import OnnxModel
    from nas.runtime.smoothing import OneEuroSettings
    from nas.runtime.stages import StageTimes
    from nas.runtime.stream import PoseStream

__all__ = [
    "ColourFrame",
    "Detector",
    "FoundBoxes",
    "FramePoses",
    "OneEuroSettings",
    "OnnxDetector",
    "OnnxModel",
    "PoseDetector",
    "PoseModel",
    "PosePipeline",
    "PoseStream",
    "StageTimes",
    "draw_people",
    "draw_poses",
    "load_detector",
    "read_image",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "nas.pictures": ("read_picture as read_image",),
        "nas.runtime.detector": ("Detector", "FoundBoxes"),
        "nas.runtime.drawing": ("draw_people", "draw_poses"),
        "nas.runtime.frames": ("ColourFrame", "FramePoses"),
        "nas.runtime.model": ("PoseModel",),
        "nas.runtime.onnx_detector": ("OnnxDetector", "load_detector"),
        "nas.runtime.pipeline": ("PosePipeline",),
        "nas.runtime.pose_detector": ("PoseDetector",),
        "nas.runtime.session": ("OnnxModel",),
        "nas.runtime.smoothing": ("OneEuroSettings",),
        "nas.runtime.stages": ("StageTimes",),
        "nas.runtime.stream": ("PoseStream",),
    },
)
