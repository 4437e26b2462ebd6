"""The address of the database: MySQL or MariaDB, PostgreSQL, or a file for SQLite, with the driver's options.

The options of a URL win over our own where both set the same one (`DatabaseAddress.merge`), but for those that the
program depends on, which a URL cannot set.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from oat.addresses.paths import path_of, sqlite_url
from oat.addresses.url import (
    ServerUrl,
    choice_of,
    number_of,
    one_of,
    parse_server_url,
    reject_unknown,
    scheme_of,
    seconds_of,
)
from oat.errors import SettingsError

FORM = "mysql+pymysql://user:password@host/name, postgresql+psycopg://… or sqlite:///file"

SQLITE, MYSQL, POSTGRESQL = "sqlite", "mysql+pymysql", "postgresql+psycopg"

DRIVERS = {
    "sqlite": SQLITE, "sqlite+pysqlite": SQLITE,
    "mysql+pymysql": MYSQL, "mariadb+pymysql": MYSQL,
    "postgresql+psycopg": POSTGRESQL,
}  # fmt: skip
"""The scheme of a URL, and the driver."""

MAX_PORT = 65535

USER_OPTIONS = frozenset({"user", "password"})
"""Parameters that stand for a part of the URL itself."""

SECONDS = frozenset({"connect_timeout", "read_timeout", "write_timeout", "timeout"})
"""Options that are a number of seconds."""

NUMBERS = frozenset({
    "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "sslsni", "tcp_user_timeout",
})  # fmt: skip
"""Options that are another whole number."""

CHOICES = {
    "charset": "utf8mb4",  # messages of errors may have any sign
    "channel_binding": "disable prefer require",
    "gssencmode": "disable prefer require",
    "load_balance_hosts": "disable random",
    "sslcertmode": "disable allow require",
    "sslmode": "disable allow prefer require verify-ca verify-full",
    "sslnegotiation": "postgres direct",
    "target_session_attrs": "any read-write primary",  # all services write
}
"""Options that are one of some words: a driver would find out only when it connects, and the services wait."""

MYSQL_FLAGS = frozenset({"ssl_check_hostname", "ssl_disabled"})

MYSQL_TLS = frozenset({"ssl_ca", "ssl_capath", "ssl_cert", "ssl_check_hostname", "ssl_cipher", "ssl_key"})
"""Parameters that PyMySQL takes as one option, `ssl`, whose defaults verify the server's certificate and name."""

MYSQL_OPTIONS = MYSQL_FLAGS | MYSQL_TLS | {
    "charset", "collation", "connect_timeout", "program_name", "read_timeout", "unix_socket", "write_timeout",
}  # fmt: skip
"""Options of PyMySQL. Left out are those that would change what a statement does, or what the program reads."""

POSTGRESQL_OPTIONS = frozenset({
    "application_name", "channel_binding", "connect_timeout", "dbname", "gssencmode", "host", "hostaddr",
    "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname", "load_balance_hosts",
    "options", "passfile", "port", "require_auth", "requirepeer", "service", "ssl_max_protocol_version",
    "ssl_min_protocol_version", "sslcert", "sslcertmode", "sslcrl", "sslcrldir", "sslkey", "sslmode",
    "sslnegotiation", "sslpassword", "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout",
})  # fmt: skip
"""Options of libpq. Source: PostgreSQL's manual, "Parameter Key Words"."""


@dataclass(frozen=True)
class DatabaseAddress:
    """A database, and how to connect to it."""

    driver: str
    """One of the values of `DRIVERS`, as SQLAlchemy names them."""
    name: str
    """The URL without a password and options, fit for a log."""
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    host: str | None = None
    port: int | None = None
    database: str | None = None
    """The name of the database; of SQLite's, the absolute path of the file."""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The driver's options that the URL sets."""

    def merge(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of the driver: `ours`, and those of the URL, which win; `options` come after ours."""
        merged = {**ours, **self.options}
        if "options" in ours and "options" in self.options:
            merged["options"] = f"{ours['options']} {self.options['options']}"
        return merged


def parse_database(url: str) -> DatabaseAddress:
    """Return the address of the database at `url`.

    Raises:
        SettingsError: it is none; the message quotes no secret.
    """
    scheme = scheme_of(url)
    driver = DRIVERS.get(scheme)
    if driver is None:
        raise SettingsError(f"database URL: expected {FORM}")
    parse: Callable[[str, str], DatabaseAddress] = _parse_sqlite if driver == SQLITE else _parse_server
    try:
        return parse(url, driver)
    except SettingsError as error:
        raise SettingsError(f"database URL {scheme}://…: {error}") from None


def _parse_sqlite(url: str, driver: str) -> DatabaseAddress:
    host, _, path = url.partition("://")[2].partition("/")
    path, question_mark, _ = path.partition("?")
    if question_mark:
        raise SettingsError("a file has no parameters; a question mark in its name is written %3F")
    if host or path in ("", ":memory:") or path.endswith("/"):
        raise SettingsError(
            "expected sqlite:///relative/file or sqlite:////absolute/file, which all services share"
        )
    file = path_of(path)
    return DatabaseAddress(driver, sqlite_url(file), database=file)


def _parse_server(url: str, driver: str) -> DatabaseAddress:
    parts = parse_server_url(url, FORM)
    known = MYSQL_OPTIONS if driver == MYSQL else POSTGRESQL_OPTIONS
    reject_unknown(parts.parameters, known | USER_OPTIONS)
    user = _part(parts, "user", parts.user)
    password = _part(parts, "password", parts.password)
    options = {name: _option(parts, driver, name) for name in parts.parameters if name in known}
    options = {name: value for name, value in options.items() if value is not None}
    if driver == MYSQL and not parts.path:
        raise SettingsError(f"there is no name of a database in it; expected {FORM}")
    hosts, ports = (str(options.get(name, "")).count(",") for name in ("host", "port"))
    if ports not in (0, hosts):
        raise SettingsError(f"there are {ports + 1} ports for {hosts + 1} servers")
    if not all(map(_is_port, filter(None, str(options.get("port", "")).split(",")))):
        raise SettingsError("the parameter port is a number from 1 to 65535, or several with commas between them")
    if not all(map(_is_address, filter(None, str(options.get("hostaddr", "")).split(",")))):
        raise SettingsError("the parameter hostaddr is an IP address, or several with commas between them")
    if driver == MYSQL and (tls := {name[4:]: options.pop(name) for name in MYSQL_TLS & options.keys()}):
        options["ssl"] = tls
    shown = ServerUrl(scheme_of(url), user, password, parts.host, parts.port, parts.path, {})
    return DatabaseAddress(
        driver=driver,
        name=shown.name,
        user=user,
        password=password,
        host=parts.host,
        port=parts.port,
        database=parts.path or None,
        options=options,
    )


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) is not None and 1 <= int(text) <= MAX_PORT


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _part(parts: ServerUrl, name: str, value: str | None) -> str | None:
    """Return the user or the password, wherever in the URL it is."""
    given = one_of(parts.parameters, name)
    if given is not None and value:
        raise SettingsError(f"the {name} is there twice, in front of the host and as a parameter")
    return value if given is None else given


def _option(parts: ServerUrl, driver: str, name: str) -> object:
    """Return the value of a driver's option, in the type that the driver wants; None if it is empty."""
    if driver == POSTGRESQL and name in ("host", "port", "hostaddr"):  # several servers, tried in turn
        return ",".join(parts.parameters[name]) or None
    for names, parse in ((SECONDS, seconds_of), (NUMBERS, number_of)):
        if name in names:
            return parse(parts.parameters, name)
    if name in CHOICES:
        return choice_of(parts.parameters, name, CHOICES[name])
    value = one_of(parts.parameters, name)
    if value is None or not (driver == MYSQL and name in MYSQL_FLAGS):
        return value
    if value.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise SettingsError(f"the parameter {name} is true or false")
    return value.lower() in ("true", "1", "yes")
