"""Running an exported model with numpy, scipy, opencv and onnxruntime only."""

from nas.pictures import read_picture as read_image
from nas.runtime.drawing import draw_poses
from nas.runtime.model import PoseModel
from nas.runtime.pipeline import PosePipeline
from nas.runtime.session import OnnxModel

__all__ = ["OnnxModel", "PoseModel", "PosePipeline", "draw_poses", "read_image"]
