"""The SQLSTATE with which PostgreSQL ends a connection that is being made.

libpq has the SQLSTATE only of errors after that, and its message is in the language of the server. But told to say
nothing else (`PQERRORS_SQLSTATE`) it has the code as its message, so a second attempt asks for it. psycopg does
not offer the function; its library of libpq does.
"""

import ctypes
import importlib
import re
import selectors
import time
from collections.abc import Iterator
from typing import Any

from psycopg import pq
from psycopg.conninfo import make_conninfo

SQLSTATE_ONLY = 3
"""`PQERRORS_SQLSTATE`. Source: libpq-fe.h, since PostgreSQL 12; an older libpq says what it always says."""

TIMEOUT = 5.0
"""Seconds for a server to say why it ends a connection: it has just done so."""

_SQLSTATE = re.compile(r":\s+([0-9A-Z]{5})\s*$")
"""How the message ends if the server has said why."""

_EVENTS = {
    pq.PollingStatus.READING: selectors.EVENT_READ,
    pq.PollingStatus.WRITING: selectors.EVENT_WRITE,
}


def startup_sqlstate(options: dict[str, Any]) -> str | None:
    """Return the SQLSTATE with which the server of these `options` of psycopg ends a new connection.

    None if it does not answer, or lets us in now. Of several servers all have to refuse: one that is not there now
    may be the one to let us in; then it is the SQLSTATE of the first.
    """
    set_verbosity = _load()
    if set_verbosity is None:
        return None
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    parameters = {name: value for name, value in options.items() if name in known}
    answers = [_ask(make_conninfo(**each), set_verbosity) for each in _servers(parameters)]
    return answers[0] if all(answers) else None


def _servers(parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each server: several are separated by commas, one port stands for all."""
    lists = {name: str(parameters[name]).split(",") for name in ("host", "hostaddr", "port") if name in parameters}
    for number in range(max(map(len, lists.values()), default=1)):
        yield {**parameters, **{name: values[number % len(values)] for name, values in lists.items()}}


def _ask(conninfo: str, set_verbosity: Any) -> str | None:
    connection: Any = pq.PGconn.connect_start(conninfo.encode())
    try:
        set_verbosity(connection.pgconn_ptr, SQLSTATE_ONLY)
        _poll(connection, time.monotonic() + TIMEOUT)
        answer = _SQLSTATE.search(connection.error_message.decode(errors="replace"))
    finally:
        connection.finish()
    return answer and answer[1]


def _poll(connection: Any, deadline: float) -> None:
    """Go on with making the connection until it is made, has failed, or the `deadline` is over."""
    while connection.status != pq.ConnStatus.BAD:
        event = _EVENTS.get(pq.PollingStatus(connection.connect_poll()))
        if event is None:
            return
        with selectors.PollSelector() as selector:  # its socket changes, and may be above 1023
            selector.register(connection.socket, event)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return


def _load() -> Any:
    """Return libpq's `PQsetErrorVerbosity`, None where psycopg is not linked with libpq."""
    try:
        library = ctypes.CDLL(importlib.import_module(pq.PGconn.__module__).__file__ or "")
        function = library.PQsetErrorVerbosity  # found in the libraries that it loads as well
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return function
