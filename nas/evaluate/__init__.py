"""Evaluation: OKS AP, CrowdPose AP, PCK, and validation of any model, torch or ONNX."""

from nas.evaluate.baseline import mean_pose, mean_pose_baseline, mean_pose_detections
from nas.evaluate.by_size import SIZES, ap_by_size
from nas.evaluate.crowdpose import crowdpose_ap
from nas.evaluate.metrics import metric_names, require_metric
from nas.evaluate.oks import Backend, oks_ap
from nas.evaluate.pck import match_people, pck
from nas.evaluate.similarity import oks
from nas.evaluate.validate import Result, score, validate
from nas.runtime.model import PoseModel
from nas.runtime.results import Detection, coco_results, read_results, write_results

__all__ = [
    "SIZES",
    "Backend",
    "Detection",
    "PoseModel",
    "Result",
    "ap_by_size",
    "coco_results",
    "crowdpose_ap",
    "match_people",
    "mean_pose",
    "mean_pose_baseline",
    "mean_pose_detections",
    "metric_names",
    "oks",
    "oks_ap",
    "pck",
    "read_results",
    "require_metric",
    "score",
    "validate",
    "write_results",
]
