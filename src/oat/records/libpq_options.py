"""What libpq refuses by itself: options, and variables of its own such as `PGSSLMODE`, that it cannot use.

It says so when a connection is made, without a code, as it does of a server that cannot be reached. So it is asked
to connect to a socket of this process: that is there, and what it refuses then is an option.
"""

import os
import socket
from typing import Any
from uuid import uuid4

from psycopg import pq
from psycopg.conninfo import make_conninfo

from oat.addresses import redact

MIN_VERSION = 140000
"""The first libpq that knows sockets without a file, which Linux has: `@` and a name."""

NOT_ASKED = {"hostaddr": "", "requirepeer": ""}
"""Options of the way to a server: with them libpq would go elsewhere, or not accept a socket of this process."""


def option_error(options: dict[str, Any]) -> str:
    """Return what libpq says against these `options` of psycopg; nothing if it takes them."""
    if pq.version() < MIN_VERSION:
        return ""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    parameters = {name: value for name, value in options.items() if name in known}
    if (parameters.get("gssencmode") or os.environ.get("PGGSSENCMODE")) == "require":
        parameters["gssencmode"] = "disable"  # the socket would not do
    port = str(parameters.get("port") or os.environ.get("PGPORT") or 5432).partition(",")[0]
    host = f"@oat-{uuid4()}"
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"\0{host[1:]}/.s.PGSQL.{port}")
            listener.listen()
            return _ask(make_conninfo(**parameters | NOT_ASKED | {"host": host, "port": port}))
    except OSError:
        return ""


def _ask(conninfo: str) -> str:
    connection = pq.PGconn.connect_start(conninfo.encode())
    try:
        is_refused = connection.status == pq.ConnStatus.BAD
        return redact(" ".join(connection.error_message.decode(errors="replace").split())) if is_refused else ""
    finally:
        connection.finish()
