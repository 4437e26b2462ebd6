"""The encoding of a PostgreSQL database, which is not always UTF-8: reasons why a task failed may have any sign.

Imported only where psycopg is loaded anyway.
"""

from typing import Any

from psycopg import Connection
from psycopg.types.string import StrDumperUnknown

UTF_8 = "UTF8"
"""PostgreSQL's name of it."""

NO_ENCODING = "SQL_ASCII"
"""What a database has that takes any bytes; psycopg would not decode them."""


class _LossyDumper(StrDumperUnknown):
    """Writes `?` for what the encoding of the connection does not have."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.encode(self._encoding, "replace").decode(self._encoding))


def use_encoding_of_database(connection: Connection) -> None:
    """Send and receive text in the database's own encoding, whatever `PGCLIENTENCODING` or the role says."""
    status = connection.info.parameter_status
    encoding = status("server_encoding") or UTF_8
    if encoding == NO_ENCODING:
        encoding = UTF_8
    if status("client_encoding") != encoding:
        connection.execute(f"SET client_encoding TO '{encoding}'")
    if encoding != UTF_8:
        connection.adapters.register_dumper(str, _LossyDumper)
