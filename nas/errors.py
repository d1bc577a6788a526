"""Errors that a user can cause and mend."""


class UserError(Exception):
    """A mistake of the user's making: one line that says what is wrong, where, and what to do.

    The command line prints the message and exits with code 2; no traceback is shown.
    """
