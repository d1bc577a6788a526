"""Running an exported model with numpy, scipy, opencv and onnxruntime only."""

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
