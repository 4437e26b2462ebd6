"""The standard streams: what is printed survives any encoding, a closed stream, a full disk and a closed pipe."""

import codecs
import contextlib
import io
import os
import re
import shutil
import sys
from typing import TextIO

PLAIN = {"–": "-", "…": "...", "×": "x", "−": "-", "’": "'", "“": '"', "”": '"', "²": "^2", "±": "+-"}
"""What stands for a sign that the encoding does not have; others are escaped."""

MIN_WIDTH = 40
"""Columns of a line: with fewer nothing can be read."""

MIN_DESCRIPTORS = 24
"""File descriptors that a command needs at least; without some of them a library would end the process."""

_STREAMS = (("stdin", 0, os.O_RDONLY), ("stdout", 1, os.O_WRONLY), ("stderr", 2, os.O_WRONLY))


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = error.object[error.start]
    return PLAIN.get(sign, sign.encode("ascii", "backslashreplace").decode()), error.start + 1


codecs.register_error("oat-plain", _replace)


def prepare_streams() -> None:
    """Have the standard streams take every text, and open those on the null device that are closed.

    What is opened next would get the number of a closed stream otherwise, and be written to by all who print.
    """
    for name, descriptor, mode in _STREAMS:
        if getattr(sys, name) is None:
            _open_null(descriptor)
            setattr(sys, name, os.fdopen(descriptor, "r" if mode == os.O_RDONLY else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="oat-plain")


def bound_width() -> None:
    """Have libraries print lines of a readable width, whatever the terminal or the environment says."""
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        # Lines of a larger width would be filled up with spaces, in memory.
        if not re.fullmatch(r"[1-9][0-9]{0,3}", os.environ.get(name, "1"), re.ASCII):
            del os.environ[name]
    for name, width in (
        ("COLUMNS", shutil.get_terminal_size().columns),
        ("TERMINAL_WIDTH", int(os.environ.get("TERMINAL_WIDTH", MIN_WIDTH))),
    ):
        if width < MIN_WIDTH:
            os.environ[name] = str(MIN_WIDTH)


def check_descriptors() -> None:
    """Open as many files as a command needs at least, and close them again.

    Raises:
        OSError: the limit is too low.
    """
    with contextlib.ExitStack() as opened:
        for _ in range(MIN_DESCRIPTORS):
            opened.callback(os.close, os.dup(2))


def flush_output() -> None:
    """Write what was printed.

    Raises:
        OSError: it cannot be written.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def print_error(text: str) -> None:
    """Print `text` to standard error, if it can be written."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def drop_unwritable() -> None:
    """Forget what cannot be written: Python would try again when it ends, and change the exit status."""
    for stream in (sys.stdout, sys.stderr):
        _drop_unless_writable(stream)


def _drop_unless_writable(stream: TextIO) -> None:
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)


def _open_null(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != descriptor:
            os.dup2(null, descriptor)
            os.close(null)
