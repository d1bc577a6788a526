"""Data: annotated photographs of people as network inputs and training targets.

Names load on first use, as those of `nas`: evaluation reads annotations and images where no torch is.
"""

from typing import TYPE_CHECKING

from nas.lazy import on_first_use

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

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "nas.coco": ("ImageRecord", "PersonTable"),
        "nas.data.annotations": ("Annotations",),
        "nas.data.augment": ("AugmentConfig", "NO_AUGMENT"),
        "nas.data.batch": ("Batch", "Sample", "SampleId", "SampleRequest", "TargetHead"),
        "nas.data.coco": ("load_annotations",),
        "nas.data.config": ("DataConfig", "SourceConfig"),
        "nas.data.dataset": ("KeypointDataset",),
        "nas.data.loader": ("Loader", "default_workers"),
        "nas.data.order": ("SampleOrder",),
        "nas.data.split": ("SearchSplit", "draw_search_split"),
    },
)
