"""COCO keypoint AP: detections against a COCO dictionary, through faster-coco-eval or pycocotools."""

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import faster_coco_eval
import numpy as np

from nas.arrays import Floats
from nas.errors import UserError
from nas.runtime.results import Detection
from nas.space.skeleton import Skeleton

Backend = Literal["faster", "pycocotools"]

AreaRanges = Mapping[str, tuple[float, float]]
"""Area (px^2) from .. to, both included."""

EVERY_AREA = (0.0, 1e5**2)
COCO_AREAS: AreaRanges = {"all": EVERY_AREA, "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e5**2)}
MAX_DETECTIONS = 20
"""Per image, the best ones."""


@dataclass(frozen=True)
class Curves:
    """What all figures are made of; -1 where there is nobody to find.

    Args:
        precision: [T, R, A] at 10 OKS thresholds .50:.05:.95, 101 recalls, and the area ranges.
        recall: [T, A].
    """

    precision: Floats
    recall: Floats

    def ap(self, area: int = 0, threshold: float | None = None) -> float:
        """Mean precision over all thresholds, or at one; -1 where there is nobody to find."""
        return _mean(_at(self.precision[..., area], threshold))

    def ar(self, area: int = 0, threshold: float | None = None) -> float:
        """Mean recall over all thresholds, or at one; -1 where there is nobody to find."""
        return _mean(_at(self.recall[..., area], threshold))


def _at(values: Floats, threshold: float | None) -> Floats:
    return values if threshold is None else values[round((threshold - 0.5) / 0.05)]


def _mean(values: Floats) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0


def oks_ap(
    truth: Mapping[str, Any],
    detections: Sequence[Detection],
    skeleton: Skeleton,
    *,
    backend: Backend = "faster",
) -> dict[str, float]:
    """COCO's ten keypoint figures.

    Args:
        truth: a COCO dictionary (images, annotations, categories).
        detections: COCO keypoint results; at most 20 per image count, the best ones.
        skeleton: gives the sigmas.
        backend: "faster" (faster-coco-eval) or "pycocotools"; both give the same figures.

    Returns:
        AP, AP50, AP75, AP_medium, AP_large, AR, AR50, AR75, AR_medium, AR_large. As in pycocotools, -1 stands
        where the ground truth has nobody (of that size).

    Raises:
        UserError: detections of images that the truth lacks, or with another number of keypoints.
    """
    return coco_figures(oks_curves(truth, detections, skeleton, backend=backend), list(COCO_AREAS))


def coco_figures(curves: Curves, areas: Sequence[str]) -> dict[str, float]:
    """COCO's ten figures of curves for these area ranges, "all" the first."""
    figures = {}
    for name, figure in (("AP", curves.ap), ("AR", curves.ar)):
        figures[name] = figure()
        figures[f"{name}50"] = figure(threshold=0.5)
        figures[f"{name}75"] = figure(threshold=0.75)
        for size in ("medium", "large"):
            figures[f"{name}_{size}"] = figure(areas.index(size))
    return figures


def oks_curves(
    truth: Mapping[str, Any],
    detections: Sequence[Detection],
    skeleton: Skeleton,
    *,
    backend: Backend = "faster",
    areas: AreaRanges = COCO_AREAS,
    images: Iterable[int] | None = None,
) -> Curves:
    """Precision and recall curves; `images` limits them to those image ids. See `oks_ap`."""
    _check(truth, detections, skeleton)
    evaluation = _evaluation(truth, detections, skeleton, backend)
    evaluation.params.areaRng = [list(area) for area in areas.values()]
    evaluation.params.areaRngLbl = list(areas)
    evaluation.params.maxDets = [MAX_DETECTIONS]
    evaluation.params.imgIds = sorted(image["id"] for image in truth["images"])
    evaluation.params.catIds = sorted(category["id"] for category in truth["categories"])
    if images is not None:
        evaluation.params.imgIds = sorted(images)
    if not evaluation.params.imgIds:
        return Curves(np.full((10, 101, len(areas)), -1.0), np.full((10, len(areas)), -1.0))
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    shape = (10, 101, len(evaluation.params.catIds), len(areas))
    return Curves(
        np.asarray(precision, np.float64).reshape(shape)[:, :, 0],
        np.asarray(recall, np.float64).reshape(shape[0], *shape[2:])[:, 0],
    )


def _check(truth: Mapping[str, Any], detections: Sequence[Detection], skeleton: Skeleton) -> None:
    if len(truth["categories"]) != 1:
        raise UserError(f"evaluation needs one category, the truth has {len(truth['categories'])}")
    known = {image["id"] for image in truth["images"]}
    for detection in detections:
        if detection["image_id"] not in known:
            raise UserError(f"a detection names image {detection['image_id']}, which is not annotated")
        if len(detection["keypoints"]) != 3 * len(skeleton.keypoints):
            raise UserError(
                f"a detection of image {detection['image_id']} has {len(detection['keypoints'])} numbers, "
                f"skeleton {skeleton.name!r} needs {3 * len(skeleton.keypoints)}"
            )


def _evaluation(
    truth: Mapping[str, Any], detections: Sequence[Detection], skeleton: Skeleton, backend: Backend
) -> Any:
    """An evaluation ready to be run. The libraries write into what they are given: they get copies."""
    own_truth = {
        "images": list(truth["images"]),
        "annotations": [dict(annotation) for annotation in truth["annotations"]],
        "categories": list(truth["categories"]),
    }
    own_detections = {**own_truth, "annotations": _as_annotations(detections)}
    sigmas = np.asarray(skeleton.sigmas, np.float64)
    if backend == "faster":
        pair = faster_coco_eval.COCO(own_truth), faster_coco_eval.COCO(own_detections)
        return faster_coco_eval.COCOeval_faster(*pair, iouType="keypoints", kpt_oks_sigmas=sigmas)
    if backend == "pycocotools":
        import pycocotools.cocoeval  # the usual one needs none

        pair = _reference(own_truth), _reference(own_detections)
        evaluation = pycocotools.cocoeval.COCOeval(*pair, "keypoints")
        evaluation.params.kpt_oks_sigmas = sigmas
        return evaluation
    raise ValueError(f"unknown backend {backend!r}")


def _as_annotations(detections: Sequence[Detection]) -> list[dict[str, Any]]:
    """Detections with ids, boxes and areas (of the keypoints' extent), as COCO's `loadRes` makes them."""
    annotations = []
    for number, detection in enumerate(detections, start=1):
        x, y = detection["keypoints"][0::3], detection["keypoints"][1::3]
        width, height = max(x) - min(x), max(y) - min(y)
        box = [min(x), min(y), width, height]
        annotations.append({**detection, "id": number, "area": width * height, "bbox": box, "iscrowd": 0})
    return annotations


def _reference(dataset: Mapping[str, Any]) -> Any:
    import pycocotools.coco

    coco = pycocotools.coco.COCO()
    coco.dataset = dataset
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco
