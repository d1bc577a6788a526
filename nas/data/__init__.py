"""Data: annotated photographs of people as network inputs and training targets."""

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
