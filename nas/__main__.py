"""`python -m nas` is the command `nas`."""

import signal
import sys


def main() -> None:
    """The command `nas`, which Ctrl-C ends without a traceback while it still loads, too."""
    try:
        from nas.cli.main import main as command
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    command()


if __name__ == "__main__":
    main()
