"""The command `nas`: its sub-commands, and how mistakes are told to the user."""

import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nas.cli.console import end_stream, log_to_console, remark, say
from nas.cli.extras import how_to_install
from nas.cli.flags import with_flags
from nas.errors import UserError
from nas.interrupt import Interruption, Paused, exit_code, interruptible
from nas.openmp import wait_briefly

_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]


class _Commands(TyperGroup):
    """Knows which command it was that failed, and which signal stopped it: typer knows of Ctrl-C alone."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise UserError(with_flags(str(error), self.commands[ctx.invoked_subcommand])) from error
        except Interruption as stop:
            raise typer.Exit(exit_code(stop)) from None
        except Paused:  # as was asked for, and told
            raise typer.Exit from None


app = typer.Typer(
    name="nas",
    cls=_Commands,
    help="Find the human-pose network that is most accurate on this machine within so many milliseconds.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"pose-nas {metadata.version('pose-nas')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    log_to_console()
    wait_briefly()


def _register() -> None:
    """Attach the sub-commands. Their modules import what is heavy only when a command runs."""
    for name, help_text in (
        ("space", "Search spaces."),
        ("arch", "Single architectures."),
        ("latency", "Milliseconds on this machine: measure, fit, predict."),
        ("data", "Data sets: check, statistics, samples, other formats, labels of a network."),
    ):
        app.add_typer(import_module(f"nas.cli.{name}").app, name=name, cls=_Commands, help=help_text)
    for module, names in (
        ("demo", ("demo",)),
        ("workflow", ("init", "run")),
        ("train", ("train", "transfer", "finetune")),
        ("search", ("search",)),
        ("diagnose", ("diagnose",)),
        ("validate", ("validate",)),
        ("export", ("export",)),
        ("predict", ("predict",)),
        ("report", ("report",)),
        ("dashboard", ("dashboard",)),
        ("web", ("web",)),
    ):
        for name in names:
            app.command(name)(getattr(import_module(f"nas.cli.{module}"), name))


_register()


def run(arguments: Sequence[str]) -> int:
    """Run one command line. Mistakes of the user's making become one line on stderr and exit code 2."""
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="nas", standalone_mode=False)
    except UserError as error:
        return _fail(str(error))
    except _USAGE_ERROR as error:
        return _fail(f"{error.format_message()} (nas {_command(error)}--help explains)")  # type: ignore[attr-defined]
    except ModuleNotFoundError as error:
        commands = how_to_install(error.name or "")
        if commands is None:
            raise
        return _fail(f"this command needs {error.name}, which is not installed: {commands}")
    except BrokenPipeError:
        return 1
    except OSError as error:
        named = "" if error.filename is None else f"{error.filename}: "
        return _fail(f"{named}{error.strerror or error}")
    except MemoryError:
        return _fail("out of memory")
    except (KeyboardInterrupt, typer.Abort) as stop:
        code = exit_code(stop)
    if isinstance(code, int) and code > 128:
        remark("Interrupted. What trains, searches or measures goes on when the same command is run again.")
    return code if isinstance(code, int) else 0


def _fail(message: str) -> int:
    remark(f"Error: {' '.join(message.split())}")
    return 2


def _command(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path.split()[1:] if context else []
    return " ".join([*path, ""])


def main() -> None:
    """Entry point of the command `nas`."""
    with interruptible():
        code = run(sys.argv[1:])
    error = end_stream(sys.stdout)
    if code == 0 and error is not None and not isinstance(error, BrokenPipeError):
        code = _fail(f"the output cannot be written ({error.strerror})")
    end_stream(sys.stderr)
    sys.exit(code)
