"""Errors that a user can cause and mend."""


class UserError(Exception):
    """A mistake of the user's making: one line that says what is wrong, where, and what to do.

    The command line prints the message and exits with code 2; no traceback is shown. What cannot be printed
    (names and values come from files) is escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(message))


def printable(text: str) -> str:
    """A text as a line of a terminal may show it: control characters, line breaks too, are escaped."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _one_line(message: str) -> str:
    return message if message.isprintable() else printable(" ".join(message.split()))
