"""Diagnose a run in a process that dies by SIGKILL: killed_diagnosis.py RUN [DIE_AT].

It dies at so many'th touch of a file in the run's diagnosis, before that happens; without a number it never
does, and prints how many there were.
"""

import itertools
import os
import signal
import sys
from typing import Any

from nas.search.diagnosis.run import diagnose_run
from nas.search.diagnosis.settings import DiagnosisSettings

_FILE_EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")


def main(run: str, die_at: str = "0") -> None:
    touches = itertools.count(1)
    taken = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal taken
        if event in _FILE_EVENTS and str(arguments[0]).startswith(f"{run}/diagnosis"):
            taken = next(touches)
            if taken == int(die_at):
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    settings = DiagnosisSettings(
        networks=4, seeds=2, images=8, bins=1, bin_width=0.5, metric="PCK_torso@0.5", allow_other_device=True
    )
    diagnose_run(run, settings)
    print(taken)


main(*sys.argv[1:])
