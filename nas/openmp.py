"""How OpenMP's threads wait for what comes next."""

import os

SPINS = "2000"
"""Turns of GNU OpenMP's waiting loop, for the gaps between a training's operations; ten times as many slow
down what else runs on the same cores."""


def wait_briefly() -> None:
    """Let threads sleep soon, unless the environment says otherwise; to be said before torch is imported.

    Threads that spin for milliseconds, as is usual, bring training almost to a halt as soon as anything else
    runs on the same cores; those that sleep at once have to be woken up for every operation.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.update(OMP_WAIT_POLICY="PASSIVE", GOMP_SPINCOUNT=os.environ.get("GOMP_SPINCOUNT", SPINS))
