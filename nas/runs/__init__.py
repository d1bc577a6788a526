"""Runs: run folders, what they hold, and what a recipe says: all that the commands hand to each other."""

from nas.runs.calibration import CalibrationImages
from nas.runs.config import FinetuneConfig, Recipe, SupernetConfig, load_config
from nas.runs.data import RunData, open_data
from nas.runs.folder import RunFolder, load_finetune_config, load_recipe
from nas.runs.metrics import read_metrics
from nas.runs.supernet import load_supernet, open_calibration

__all__ = [
    "CalibrationImages",
    "FinetuneConfig",
    "Recipe",
    "RunData",
    "RunFolder",
    "SupernetConfig",
    "load_config",
    "load_finetune_config",
    "load_recipe",
    "load_supernet",
    "open_calibration",
    "open_data",
    "read_metrics",
]
