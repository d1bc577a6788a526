"""Running an exported model with numpy, scipy, opencv and onnxruntime only.

Names load on first use, as those of `nas`: whoever imports this pays for what they take.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_HOMES = {
    "ColourFrame": "nas.runtime.frames",
    "Detector": "nas.runtime.detector",
    "FoundBoxes": "nas.runtime.detector",
    "FramePoses": "nas.runtime.frames",
    "OneEuroSettings": "nas.runtime.smoothing",
    "OnnxDetector": "nas.runtime.onnx_detector",
    "OnnxModel": "nas.runtime.session",
    "PoseDetector": "nas.runtime.pose_detector",
    "PoseModel": "nas.runtime.model",
    "PosePipeline": "nas.runtime.pipeline",
    "PoseStream": "nas.runtime.stream",
    "StageTimes": "nas.runtime.stages",
    "draw_people": "nas.runtime.drawing",
    "draw_poses": "nas.runtime.drawing",
    "load_detector": "nas.runtime.onnx_detector",
}


def __getattr__(name: str) -> Any:
    if name == "read_image":
        return import_module("nas.pictures").read_picture
    if name not in _HOMES:
        raise AttributeError(f"module 'nas.runtime' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
