"""Paths: as people write them in settings, and as parts of URLs.

A path may have any byte that the file system allows; bytes that are not UTF-8 are surrogates in a string, as
`os.fsdecode` makes them. In a URL, each of `%`, `?` and `#`, and what is not ASCII, may be percent-encoded.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from platformdirs import user_cache_path, user_data_path

from oat.errors import SettingsError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""How a URL begins, also one with a slash too few."""


def unset_empty(prefix: str) -> None:
    """Remove the environment variables that begin with `prefix` and are empty: empty is unset."""
    for name in [name for name, value in os.environ.items() if name.startswith(prefix) and not value.strip()]:
        del os.environ[name]


def data_folder() -> Path:
    """Return the user's data directory, where the embedded broker, database and store are.

    Raises:
        SettingsError: it would be in the home directory, and there is none.
    """
    folder = _user_folder(user_data_path)
    if xdg := os.environ.get("XDG_DATA_HOME", "").strip():  # a relative one would be ignored
        if not xdg.startswith(("/", "~")):
            raise SettingsError("XDG_DATA_HOME is a relative path: make it an absolute one")
        folder = Path(expand(xdg)) / "oat"
    if folder is None:
        raise SettingsError(
            "there is no home directory for the data: set HOME or XDG_DATA_HOME to an absolute path, or all of "
            "OAT_BROKER_URL, OAT_DATABASE_URL and OAT_TARGET"
        )
    return folder


def cache_folder() -> Path | None:
    """Return the user's cache directory, None if it would be in the home directory, and there is none."""
    return _user_folder(user_cache_path)


def _user_folder(find: Callable[[str], Path]) -> Path | None:
    unset_empty("HOME")  # or it would be below the root directory
    try:
        folder = find("oat").expanduser()
    except RuntimeError:
        return None
    return folder if folder.is_absolute() else None


def expand(path: str) -> str:
    """Return `path` as an absolute one: `~` is a home directory, a relative path starts at the working directory.

    Raises:
        SettingsError: the home directory is unknown, there is no working directory, or it is a URL.
    """
    if _URL.match(path):
        raise SettingsError("expected a path, not a URL")
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError:
        raise SettingsError("the path begins with ~, and there is no such home directory") from None
    except FileNotFoundError:
        raise SettingsError("the path is relative, and the working directory does not exist any more") from None


def path_of(encoded: str) -> str:
    """Return the absolute path that is percent-encoded as `encoded` in a URL.

    Raises:
        SettingsError: as `expand`, and for a NUL, which no path has.
    """
    path = os.fsdecode(unquote_to_bytes(os.fsencode(encoded)))
    if "\0" in path:
        raise SettingsError("a path cannot have a NUL")
    return expand(path)


def folder_url(path: str | os.PathLike[str]) -> str:
    """Return the URL of an embedded broker in the folder at the absolute `path`."""
    return f"filesystem://{quote(os.fsencode(path))}"


def sqlite_url(path: str | os.PathLike[str]) -> str:
    """Return the URL of the SQLite database in the file at the absolute `path`."""
    return f"sqlite:///{quote(os.fsencode(path))}"
