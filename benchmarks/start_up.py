"""How long an installed runtime takes to its first poses, against importing onnxruntime and OpenCV alone.

    python benchmarks/start_up.py MODEL.onnx PICTURE --repeats 15 --out results/benchmarks/start_up.json

Every figure is of processes of their own, the two kinds in turns, by this Python: run it by one in which the
wheel is installed without an extra. The first, which reads the files from the disk, is left out.
"""

import argparse
import json
import platform
import subprocess
import sys
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from nas.timing import describe_device

BARE = """
import time
start = time.perf_counter()
import cv2, onnxruntime
print(time.perf_counter() - start)
"""

RUNTIME = """
import sys, time
start = time.perf_counter()
import cv2, onnxruntime
from nas.runtime import OnnxModel, PosePipeline
imported = time.perf_counter()
poses = PosePipeline(OnnxModel(sys.argv[1]))(sys.argv[2])
print(imported - start, time.perf_counter() - imported)
"""


def seconds(code: str, *arguments: str) -> list[float]:
    """What a process of this Python prints of such code."""
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True, cwd=Path.home()
    )
    return [float(value) for value in run.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path, help="an exported network")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    given = [str(path.resolve(strict=True)) for path in (options.model, options.picture)]
    rounds = [[*seconds(BARE), *seconds(RUNTIME, *given)] for _ in range(options.repeats + 1)][1:]
    bare, imported, first = (median(column) for column in zip(*rounds, strict=True))
    found = {
        "machine": describe_device().cpu,
        "date": str(date.today()),
        "python": platform.python_version(),
        "torch_installed": find_spec("torch") is not None,
        "rounds": options.repeats,
        "import_onnxruntime_cv2_s": round(bare, 3),
        "import_runtime_s": round(imported, 3),
        "import_ratio": round(median(row[1] / row[0] for row in rounds), 2),
        "first_result_after_import_s": round(first, 3),
        "slowest_first_result_s": round(max(row[2] for row in rounds), 3),
    }
    print(json.dumps(found, indent=1))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
