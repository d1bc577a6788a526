"""Heads: layers, losses, distillation and exportable decode, one file per type."""

from nas.heads.base import Head, Level, LevelFeatures, Outputs

__all__ = ["Head", "Level", "LevelFeatures", "Outputs"]
