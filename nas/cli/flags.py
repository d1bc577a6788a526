"""Parameters that the library names in its errors, as a command line calls them.

The library knows no command line: it writes a parameter's name in backticks. A command that has a parameter
of that name shows its flag there; so a command's function calls its parameters as the library does.
"""

import re
from typing import Any

_BACKTICKED = re.compile(r"`(\w+)`")


def with_flags(message: str, command: Any) -> str:
    """A message with the flags, and the names of arguments, for the parameters of a (click) command.

    What else stands in backticks stays.
    """
    shown = {parameter.name: _shown(parameter) for parameter in command.params}
    return _BACKTICKED.sub(lambda found: shown.get(found[1], found[0]), message)


def _shown(parameter: Any) -> str:
    if parameter.param_type_name == "option":
        return str(parameter.opts[0])
    return str(parameter.metavar or parameter.name.upper())
