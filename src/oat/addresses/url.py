"""The URL of a server, divided into its parts. What cannot be divided is not quoted, as it may be a password."""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, unquote_to_bytes, urlsplit

from oat.addresses.secrets import remember_secret
from oat.errors import SettingsError

_NAME = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)
"""The name of a parameter."""

ENCODE = "/ is written %2F, ? %3F, # %23, @ %40 in a user name or a password"


@dataclass(frozen=True)
class ServerUrl:
    """The parts of a URL, decoded; what it does not have is None or empty."""

    scheme: str
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    host: str | None
    port: int | None
    path: str
    """Without the slash in front of it, decoded."""
    parameters: dict[str, list[str]] = field(repr=False)

    @property
    def name(self) -> str:
        """The URL without parameters and with asterisks instead of a password, fit for a log.

        What stands alone in front of the host may be a token, and becomes asterisks as well.
        """
        user = quote(self.user or "", safe="")
        userinfo = (
            "" if not user and self.password is None else "***@" if self.password is None else f"{user}:***@"
        )
        host = quote(self.host or "", safe=":.,%")
        host = f"[{host}]" if ":" in host else host
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.scheme}://{userinfo}{host}{port}/{quote(self.path, safe='/')}"


def scheme_of(url: str) -> str:
    """Return the scheme of `url` in lower case, empty if there is none."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


def parse_server_url(url: str, form: str) -> ServerUrl:
    """Divide `url` into its parts.

    Args:
        url: of a server.
        form: what is expected, for the error.

    Raises:
        SettingsError: it is malformed, or more likely has a password with signs that must be encoded.
    """
    netloc, *behind = re.split(r"(?=[/?#])", url.partition("://")[2], maxsplit=1)
    if any(sign.isspace() or not sign.isprintable() for sign in url):
        raise SettingsError(f"expected {form}, without spaces and control characters")
    if any("@" in part or "#" in part for part in behind):
        raise SettingsError(f"expected {form}; {ENCODE}")
    address = netloc.rpartition("@")[2]
    # Brackets are around IPv6; what stands beside them `urlsplit` drops, or refuses from Python 3.13 on.
    if "[" in address and not re.fullmatch(r"\[[^][]*:[^][]*\](:[0-9]*)?", address, re.ASCII):
        raise SettingsError(f"expected {form}, with a name or an address of a host")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingsError(f"expected {form}, with a port from 1 to 65535; {ENCODE}") from None
    if port == 0:
        raise SettingsError(f"expected {form}, with a port from 1 to 65535")
    host = _decoded(parts.hostname)
    is_socket = (host or "").startswith("/") and parts.scheme.startswith("postgresql")  # the folder it is in
    if host and not is_socket and not _is_host(host):
        raise SettingsError(f"expected {form}, with a name or an address of a host")
    parameters = _parameters(parts.query)
    values = [value for each in parameters.values() for value in each]
    try:
        unquote_to_bytes(url).decode()
    except UnicodeDecodeError:
        raise SettingsError(f"expected {form}, with %… of UTF-8") from None
    if any("\0" in unquote(part) for part in (parts.netloc, parts.path, *values)):
        raise SettingsError(f"expected {form}, without NUL")  # libraries in C would read no further
    for secret in (_decoded(parts.password), *parameters.get("password", []), *parameters.get("sslpassword", [])):
        remember_secret(secret)
    return ServerUrl(
        scheme=parts.scheme,
        user=_decoded(parts.username),
        password=_decoded(parts.password),
        host=host,
        port=port,
        path=unquote(parts.path[1:]),
        parameters=parameters,
    )


def reject_unknown(parameters: dict[str, list[str]], known: frozenset[str] | set[str]) -> None:
    """Raise `SettingsError` with the names of those of `parameters` that are not `known`."""
    unknown = sorted(parameters.keys() - known)
    if unknown:
        raise SettingsError(f"unknown {'parameter' if len(unknown) == 1 else 'parameters'} {', '.join(unknown)}")


def one_of(parameters: dict[str, list[str]], name: str) -> str | None:
    """Return the value of the parameter `name`, None if it is not there or empty; raise if it is there twice."""
    values = parameters.get(name, [])
    if len(values) > 1:
        raise SettingsError(f"the parameter {name} is there {len(values)} times")
    return values[0] or None if values else None


def seconds_of(parameters: dict[str, list[str]], name: str) -> int | None:
    """Return the value of the parameter `name`, a whole number of seconds from 1 to 3600."""
    value = one_of(parameters, name)
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,4}", value, re.ASCII) or not 1 <= int(value) <= 3600:  # noqa: PLR2004 (an hour)
        raise SettingsError(f"the parameter {name} is a whole number of seconds from 1 to 3600")
    return int(value)


def choice_of(parameters: dict[str, list[str]], name: str, choices: str) -> str | None:
    """Return the value of the parameter `name`, one of the words in `choices`."""
    value = one_of(parameters, name)
    if value is not None and value not in choices.split():
        raise SettingsError(f"the parameter {name} is {', '.join(choices.split())}".replace(", ", " or "))
    return value


def number_of(parameters: dict[str, list[str]], name: str) -> str | None:
    """Return the value of the parameter `name`, a whole number."""
    value = one_of(parameters, name)
    if value is not None and not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
        raise SettingsError(f"the parameter {name} is a whole number")
    return value


def _is_host(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return re.fullmatch(r"[\w.:%-]+", host) is not None


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _parameters(query: str) -> dict[str, list[str]]:
    parameters: dict[str, list[str]] = {}
    for part in filter(None, query.split("&")):
        name, separator, _ = part.partition("=")
        if not separator or not _NAME.fullmatch(name):
            raise SettingsError("what follows the question mark are parameters, name=value, with & between them")
        parameters.setdefault(name, []).extend(value for _, value in parse_qsl(part, keep_blank_values=True))
    return parameters
