"""Heads: layers, losses, distillation and exportable decode, one file per type."""

from nas.heads.base import Head, HeadPlace, Level, LevelFeatures, Outputs

__all__ = ["Head", "HeadPlace", "Level", "LevelFeatures", "Outputs"]
