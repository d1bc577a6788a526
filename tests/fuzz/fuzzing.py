"""How much is fuzzed: the same examples in every run, more of them in the slow tests."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from nas.errors import UserError

HANGING = timedelta(seconds=30)
"""No document takes a hundredth of this to read or to refuse."""

_COMMON: dict[str, Any] = {
    "derandomize": True,
    "database": None,
    "deadline": HANGING,
    "phases": (Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
}
FEW = settings(max_examples=100, **_COMMON)
MANY = settings(max_examples=2000, **_COMMON)


def loads_or_refuses(load: Callable[[], object]) -> bool:
    """Whether something loads; where not, it is refused as a user's mistake is: in one line.

    Any other exception passes through.
    """
    try:
        load()
    except UserError as error:
        message = str(error)
        assert message
        assert message.isprintable(), repr(message)
        assert len(message) < 5000, message
        return False
    return True
