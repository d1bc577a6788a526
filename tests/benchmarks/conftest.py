"""The tiny space, and the benchmarks, which are scripts side by side."""

import sys
from pathlib import Path

from tiny_training import make_config, tiny_files, tiny_space

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

__all__ = ["make_config", "tiny_files", "tiny_space"]
