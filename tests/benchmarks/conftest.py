"""The tiny space, and the benchmarks, which are scripts side by side, or packages of the checkout."""

import sys
from pathlib import Path

from tiny_training import make_config, steps, tiny_files, tiny_space

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT), str(ROOT / "benchmarks")]

__all__ = ["make_config", "steps", "tiny_files", "tiny_space"]
