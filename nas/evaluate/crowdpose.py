"""CrowdPose AP (Li et al., "CrowdPose: Efficient Crowded Scenes Pose Estimation", CVPR 2019)."""

from collections.abc import Mapping, Sequence
from typing import Any

from nas.coco import AREA_OF_BOX
from nas.errors import UserError
from nas.evaluate.oks import EVERY_AREA, Backend, oks_curves
from nas.runtime.results import Detection
from nas.space.skeleton import Skeleton

EASY_BELOW, HARD_FROM = 0.2, 0.8
"""Crowd index of easy and hard images, as in the authors' evaluation code."""


def crowdpose_ap(
    truth: Mapping[str, Any],
    detections: Sequence[Detection],
    skeleton: Skeleton,
    *,
    backend: Backend = "faster",
) -> dict[str, float]:
    """CrowdPose's nine figures: areas come from boxes, and AP is also given by how crowded an image is.

    Args:
        truth: a COCO dictionary whose images have `crowdIndex`; its areas are not used.
        detections: COCO keypoint results; at most 20 per image count, the best ones.
        skeleton: gives the sigmas.
        backend: as in `oks_ap`.

    Returns:
        AP, AP50, AP75, AR, AR50, AR75, AP_easy, AP_medium, AP_hard; -1 where there is nobody to find.

    Raises:
        UserError: an image without `crowdIndex`, or what `oks_ap` raises.
    """
    levels = _levels(truth)
    by_box = {**truth, "annotations": [_with_area_of_box(row) for row in truth["annotations"]]}
    areas = {"all": EVERY_AREA}
    curves = oks_curves(by_box, detections, skeleton, backend=backend, areas=areas)
    figures = {}
    for name, figure in (("AP", curves.ap), ("AR", curves.ar)):
        figures.update(
            {name: figure(), f"{name}50": figure(threshold=0.5), f"{name}75": figure(threshold=0.75)}
        )
    for level, images in levels.items():
        part = oks_curves(by_box, detections, skeleton, backend=backend, areas=areas, images=images)
        figures[f"AP_{level}"] = part.ap()
    return figures


def _with_area_of_box(annotation: Mapping[str, Any]) -> dict[str, Any]:
    _, _, width, height = annotation["bbox"]
    return {**annotation, "area": height * width * AREA_OF_BOX}


def _levels(truth: Mapping[str, Any]) -> dict[str, list[int]]:
    levels: dict[str, list[int]] = {"easy": [], "medium": [], "hard": []}
    for image in truth["images"]:
        index = image.get("crowdIndex")
        if index is None:
            raise UserError(f"image {image['id']} has no crowdIndex, which CrowdPose's figures need")
        levels[level_of(index)].append(image["id"])
    return levels


def level_of(crowd_index: float) -> str:
    """How crowded an image is: easy, medium or hard."""
    return "easy" if crowd_index < EASY_BELOW else "medium" if crowd_index < HARD_FROM else "hard"
