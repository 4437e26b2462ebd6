"""HTTP addresses: of the API that a command asks, and of the server of an object store."""

import re

from oat.addresses.url import parse_server_url, scheme_of
from oat.errors import SettingsError

_PATH = re.compile(r"[\w./~-]*", re.ASCII)


def check_api_url(url: str) -> str:
    """Return `url`, the address of the API, without a slash at its end.

    Raises:
        SettingsError: it is none, or has a user, a password or parameters; the message quotes no secret.
    """
    _check(url, "OAT_API_URL", "http[s]://host:port, and the token in OAT_API_TOKEN")
    return url.rstrip("/")


def check_endpoint(variable: str, url: str) -> None:
    """Check `url`, the value of the environment `variable`, as the address of an object store's server.

    Raises:
        SettingsError: as for the API.
    """
    _check(
        url, variable, "http[s]://host:port, and the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )


def _check(url: str, name: str, form: str) -> None:
    try:
        parts = parse_server_url(url, form)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from None
    has_more = parts.user is not None or parts.password is not None or "?" in url
    is_host = re.fullmatch(r"[\w.-]+|[0-9a-f:.]+", parts.host or "", re.ASCII)
    if scheme_of(url) not in ("http", "https") or has_more or not is_host or not _PATH.fullmatch(parts.path):
        raise SettingsError(f"{name}: expected {form}")
