"""AP by the person's size in the image."""

from collections.abc import Mapping, Sequence
from typing import Any

from nas.evaluate.oks import EVERY_AREA, AreaRanges, Backend, Curves, oks_curves
from nas.runtime.results import Detection
from nas.space.skeleton import Skeleton

SIZES: AreaRanges = {
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, EVERY_AREA[1]),
}
"""COCO's object sizes (px^2)."""

COUNT = "people_"
"""What the names of numbers of people begin with: they are no accuracies."""


def ap_by_size(
    truth: Mapping[str, Any],
    detections: Sequence[Detection],
    skeleton: Skeleton,
    *,
    sizes: AreaRanges = SIZES,
    backend: Backend = "faster",
) -> dict[str, float]:
    """AP and AR of people within each range of areas.

    COCO's own figures are of medium and large people, since it labels no keypoints of small ones.

    Returns:
        AP_<size>, AR_<size> (-1 where there is nobody) and people_<size>, how many labelled people there are.
    """
    curves = oks_curves(truth, detections, skeleton, backend=backend, areas=sizes)
    return size_figures(curves, sizes, truth, sizes=sizes)


def size_figures(
    curves: Curves, areas: AreaRanges, truth: Mapping[str, Any], *, sizes: AreaRanges = SIZES
) -> dict[str, float]:
    """As `ap_by_size`, of curves for these area ranges, `sizes` among them."""
    people = [
        row["area"] for row in truth["annotations"] if row["num_keypoints"] > 0 and not row.get("iscrowd", 0)
    ]
    figures: dict[str, float] = {}
    for size, (low, high) in sizes.items():
        place = list(areas).index(size)
        figures[f"AP_{size}"] = curves.ap(place)
        figures[f"AR_{size}"] = curves.ar(place)
        figures[f"{COUNT}{size}"] = sum(low <= area <= high for area in people)
    return figures
