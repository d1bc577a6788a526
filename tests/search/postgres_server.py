"""A PostgreSQL server of the tests' own, on a free port: from Debian's package, or wherever `initdb` is."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

PASSWORD = "not-to-be-told"
_ACCOUNT = "postgres"


def why_not() -> str | None:
    """Why no server can be started here; None where one can."""
    if find_spec("psycopg") is None:
        return "psycopg, the driver of PostgreSQL, is not installed (the extra `postgres`)"
    if _programs() is None:
        return "PostgreSQL is not installed (Debian's package postgresql)"
    if os.getuid() == 0 and _account() is None:
        return f"PostgreSQL refuses root, and there is no user {_ACCOUNT}"
    return None


@contextmanager
def postgres_server() -> Iterator[str]:
    """Within, a server runs; gives the storage URL of an empty database in it. Nothing is left behind."""
    programs, account = _programs(), _account() if os.getuid() == 0 else None
    assert programs is not None
    # Not below pytest's folders, which other users cannot enter.
    home = Path(tempfile.mkdtemp(prefix="postgres-"))
    secret, data = home / "secret", home / "data"
    secret.write_text(PASSWORD)
    if account is not None:
        for path in (home, secret):
            os.chown(path, account.pw_uid, account.pw_gid)

    def call(program: str, *arguments: str) -> None:
        rights: dict[str, Any] = (
            {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        )
        subprocess.run(
            [programs / program, *arguments],
            check=True,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **rights,
        )

    try:
        call(
            "initdb", "--pgdata", str(data), "--username", "search", "--pwfile", str(secret),
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip
        port = _free_port()
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        call("pg_ctl", "start", "-w", "-D", str(data), "-l", str(home / "log"), "-o", options)
        try:
            yield f"postgresql+psycopg://search:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(data))
    finally:
        shutil.rmtree(home)


def new_database(server: str, name: str) -> str:
    """The storage URL of a new, empty database."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _programs() -> Path | None:
    """The folder of the newest server's programs."""
    packaged = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = max(packaged, key=lambda path: int(path.parts[-3]), default=None)
    elsewhere = shutil.which("initdb")
    return found.parent if found else Path(elsewhere).resolve().parent if elsewhere else None


def _account() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(_ACCOUNT)
    except KeyError:
        return None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
