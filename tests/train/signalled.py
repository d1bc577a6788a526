"""`nas` whose process group gets a signal before a step: python signalled.py SIGNAL STEP ARGUMENT ..."""

import os
import subprocess
import sys
from typing import Any

from nas.cli.main import main
from nas.train.update import Updater


def arrange(number: int, step: int) -> None:
    """Have all processes of this group get the signal once, before a step."""
    original = Updater.step

    def stepping(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        if plan.step == step:
            # From outside of the group: workers heed what their parent itself sends.
            kill = ["kill", f"-{number}", "--", f"-{os.getpgrp()}"]
            subprocess.run(kill, start_new_session=True, check=True)
        return original(self, plan, parts)

    Updater.step = stepping  # type: ignore[method-assign]


arrange(int(sys.argv[1]), int(sys.argv[2]))
sys.argv[1:3] = []
main()
