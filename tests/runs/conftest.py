"""The tiny space and data set."""

from tiny_training import make_config, tiny_files

__all__ = ["make_config", "tiny_files"]
