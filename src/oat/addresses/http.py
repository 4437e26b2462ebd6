"""HTTP addresses: of the API that a command asks, and of the server of an object store."""

import re
from dataclasses import dataclass, field

from oat.addresses.url import ServerUrl, parse_server_url
from oat.errors import SettingsError

_PATH = re.compile(r"[\w./~-]*", re.ASCII)


@dataclass(frozen=True)
class ApiAddress:
    """Where the API is, and what is in front of its host."""

    url: str
    """Without user and password, and without a slash at its end."""
    name: str
    """The same with asterisks instead of a password, fit for a log."""
    basic: tuple[str, str] | None = field(default=None, repr=False)
    """The user and the password of HTTP Basic, if the URL has them; the password is the token."""


def parse_api_url(url: str) -> ApiAddress:
    """Return the address of the API at `url`.

    Raises:
        SettingsError: it is none, or has parameters; the message quotes no secret.
    """
    parts = _parse(url, "OAT_API_URL", "http[s]://host:port, and the token in OAT_API_TOKEN")
    bare = ServerUrl(parts.scheme, None, None, parts.host, parts.port, parts.path, {}).name.rstrip("/")
    basic = None if parts.user is None and parts.password is None else (parts.user or "", parts.password or "")
    return ApiAddress(bare, parts.name.rstrip("/"), basic)


def check_endpoint(variable: str, url: str) -> None:
    """Check `url`, the value of the environment `variable`, as the address of an object store's server.

    Raises:
        SettingsError: it is none, or has a user, a password or parameters; the message quotes no secret.
    """
    form = "http[s]://host:port, and the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    parts = _parse(url, variable, form)
    if parts.user is not None or parts.password is not None:
        raise SettingsError(f"{variable}: expected {form}")


def _parse(url: str, name: str, form: str) -> ServerUrl:
    try:
        parts = parse_server_url(url, form)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from None
    is_host = re.fullmatch(r"[\w.-]+|[0-9a-f:.]+", parts.host or "", re.ASCII)
    if parts.scheme not in ("http", "https") or "?" in url or not is_host or not _PATH.fullmatch(parts.path):
        raise SettingsError(f"{name}: expected {form}")
    return parts
