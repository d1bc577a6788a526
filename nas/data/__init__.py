"""Data: annotated photographs of people as network inputs and training targets.

Names load on first use, as those of `nas`: evaluation reads annotations and images where no torch is.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.coco import ImageRecord, PersonTable
    from nas.data.annotations import Annotations
    from nas.data.augment import NO_AUGMENT, AugmentConfig
    from nas.data.batch import Batch, Sample, SampleId, SampleRequest, TargetHead
    from nas.data.coco import load_annotations
    from nas.data.config import DataConfig, SourceConfig
    from nas.data.dataset import KeypointDataset
    from nas.data.loader import Loader, default_workers
    from nas.data.order import SampleOrder
    from nas.data.split import SearchSplit, draw_search_split

__all__ = [
    "NO_AUGMENT",
    "Annotations",
    "AugmentConfig",
    "Batch",
    "DataConfig",
    "ImageRecord",
    "KeypointDataset",
    "Loader",
    "PersonTable",
    "Sample",
    "SampleId",
    "SampleOrder",
    "SampleRequest",
    "SearchSplit",
    "SourceConfig",
    "TargetHead",
    "default_workers",
    "draw_search_split",
    "load_annotations",
]

_HOMES = {
    "NO_AUGMENT": "nas.data.augment",
    "Annotations": "nas.data.annotations",
    "AugmentConfig": "nas.data.augment",
    "Batch": "nas.data.batch",
    "DataConfig": "nas.data.config",
    "ImageRecord": "nas.coco",
    "KeypointDataset": "nas.data.dataset",
    "Loader": "nas.data.loader",
    "PersonTable": "nas.coco",
    "Sample": "nas.data.batch",
    "SampleId": "nas.data.batch",
    "SampleOrder": "nas.data.order",
    "SampleRequest": "nas.data.batch",
    "SearchSplit": "nas.data.split",
    "SourceConfig": "nas.data.config",
    "TargetHead": "nas.data.batch",
    "default_workers": "nas.data.loader",
    "draw_search_split": "nas.data.split",
    "load_annotations": "nas.data.coco",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nas.data' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
