"""Heads: layers, losses, distillation and exportable decode, one file per type."""

from nas.heads.base import HeadPlace, Outputs, PoseHead
from nas.layers import Level, LevelFeatures

__all__ = ["HeadPlace", "Level", "LevelFeatures", "Outputs", "PoseHead"]
