"""A search's study in the browser: optuna-dashboard, served on this machine."""

from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from nas.errors import UserError
from nas.runs.folder import RunFolder
from nas.search.record import ORIGIN
from nas.search.storage import open_storage, sqlite_url


def dashboard(run: RunFolder, *, storage: str | None, host: str, port: int) -> tuple[WSGIServer, str]:
    """A server that is ready to serve, and the address of the run's latest study there.

    Args:
        run: of the search.
        storage: the search's, where it was given one.
        host: the address to listen at.
        port: to listen at; any free one for 0.

    Raises:
        UserError: optuna-dashboard is not installed, there is no study, or somebody else has the port.
    """
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise UserError(
            "the dashboard needs optuna-dashboard, which is not installed: install the extra `dashboard`, or "
            "pip install optuna-dashboard"
        ) from None
    if storage is None and not run.study_file.is_file():
        raise UserError(
            f"{run.path}: no search has been run in it; run `nas search`, or give the `storage` that it has"
        )
    opened = open_storage(storage or sqlite_url(run.study_file))
    study = _latest(run, opened.get_all_studies())
    try:
        server = make_server(host, port, wsgi(opened), server_class=_Server, handler_class=_Silent)
    except OSError as error:
        raise UserError(f"`port` {port} on {host}: {error.strerror}; name another one") from None
    return server, f"http://{host}:{server.server_port}/dashboard/studies/{study}"


def _latest(run: RunFolder, studies: list[Any]) -> int:
    """The number of the study that was begun last: of this recipe, where one is known to be."""
    mine = [
        study for study in studies if study.user_attrs.get(ORIGIN, {}).get("recipe") == run.recipe_digest()
    ]
    numbers: list[int] = [study._study_id for study in mine or studies]
    if not numbers:
        raise UserError(f"{run.path}: no search of it lies in that `storage`")
    return max(numbers)


class _Server(ThreadingMixIn, WSGIServer):
    """A page asks for several things at once."""

    daemon_threads = True


class _Silent(WSGIRequestHandler):
    """Answers without a line for every request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
