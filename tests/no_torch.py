"""A Python in which packages that are installed cannot be imported."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

_RUN = """
import json, sys
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None
from nas.cli.main import run
sys.exit(run(json.loads(sys.argv[2])))
"""


def run_without(
    packages: Iterable[str], arguments: Sequence[str | Path]
) -> "subprocess.CompletedProcess[str]":
    """Run `nas` with these arguments where none of the packages is there."""
    given = [json.dumps(sorted(packages)), json.dumps([str(argument) for argument in arguments])]
    return subprocess.run(
        [sys.executable, "-c", _RUN, *given],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
