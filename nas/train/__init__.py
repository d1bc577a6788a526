"""Train: supernets, fine-tuning, and the one loop that they share."""

from nas.train.backbone import initialise_backbone
from nas.train.calibration import CalibrationImages
from nas.train.config import FinetuneConfig, Recipe, SupernetConfig, load_config
from nas.train.datasets import RunData, open_data
from nas.train.finetune import finetune_subnet, load_finetune_config, transfer_subnet
from nas.train.initialise import initialise
from nas.train.metrics import read_metrics
from nas.train.run_folder import RunFolder
from nas.train.supernet import load_supernet, open_calibration, train_supernet

__all__ = [
    "CalibrationImages",
    "FinetuneConfig",
    "Recipe",
    "RunData",
    "RunFolder",
    "SupernetConfig",
    "finetune_subnet",
    "initialise",
    "initialise_backbone",
    "load_config",
    "load_finetune_config",
    "load_supernet",
    "open_calibration",
    "open_data",
    "read_metrics",
    "train_supernet",
    "transfer_subnet",
]
