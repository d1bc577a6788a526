"""onnxruntime reports its use over the network and keeps a record in the home folder; here it does not."""

import os
import sys

_SWITCH = "ORT_DISABLE_TELEMETRY"


def keep_quiet() -> None:
    """Switch the reports off, here and in processes started from here, unless the environment says otherwise.

    It helps fully where onnxruntime is not imported yet. Later it stops only the events still to come.
    """
    if os.environ.setdefault(_SWITCH, "1") == "1" and "onnxruntime" in sys.modules:
        sys.modules["onnxruntime"].disable_telemetry_events()
