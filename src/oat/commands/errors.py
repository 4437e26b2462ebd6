"""Errors at the edge of a command: each becomes one line and an exit status.

What the environment causes (a full disk, a missing permission, no memory) has a remedy in its line; what is left
is a bug of the program, and says so. `--debug` shows the traceback of either.
"""

import errno
import logging
import os
import signal
import sys
import traceback
from pathlib import Path

import typer
from typer.exceptions import TyperException

from oat.addresses import redact, redact_urls
from oat.errors import LIMIT_REMEDIES, is_out_of_memory
from oat.process import print_error
from oat.settings import PermanentError, SettingsError

FAILED, USAGE, BUG = 1, 2, os.EX_SOFTWARE
"""Exit statuses: what was asked for failed; an option or a setting cannot be used; a bug, as sysexits.h has it."""

INTERRUPTED = 128 + signal.SIGINT
"""The exit status of a command that a Ctrl-C ended before its work was done, as shells have it."""

PIPE_CLOSED = 128 + signal.SIGPIPE
"""The exit status of a command whose output nobody reads any more, as shells have it."""

_WHERE = "XDG_DATA_HOME, OAT_TARGET, OAT_BROKER_URL, OAT_DATABASE_URL and OAT_LOG_FILE say where files are"

_NOT_ALLOWED = f"give this user the right, or choose another place: {_WHERE}"

REMEDIES = {
    **LIMIT_REMEDIES,
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or have the quota raised",
    errno.EROFS: f"mount it writable, or choose another place: {_WHERE}",
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.ENOENT: _WHERE,
    errno.ENOTDIR: _WHERE,
    errno.EISDIR: _WHERE,
    errno.EEXIST: _WHERE,
    errno.ELOOP: _WHERE,
    errno.ENAMETOOLONG: f"choose a shorter name: {_WHERE}",
    errno.ENOMEM: "free some memory, raise its limit (ulimit -v), or use fewer --threads",
    errno.EAGAIN: "raise the limits of processes and of memory (ulimit -u, -v), or use fewer --threads",
    errno.EIO: "the disk, or the terminal, has a fault: see dmesg",
}
"""What helps against an error of the operating system."""


class PipeClosedError(Exception):
    """Nobody reads the output any more."""


def report(error: BaseException, debug: bool) -> int:
    """Print `error` as one line to standard error, with its traceback if `debug`, and return the exit status."""
    logging.shutdown()  # the log lines before the error are written before it
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError | PipeClosedError):
        return PIPE_CLOSED
    if debug:
        print_error(redact("".join(traceback.format_exception(error))).rstrip())
    message, status = explain(error)
    if message:
        program = Path(sys.argv[0]).name.replace("__main__.py", "oat")
        print_error(f"{program}: {redact_urls(_one_line(message))}")
    return status


def explain(error: BaseException) -> tuple[str, int]:
    """Return what to say about `error`, and the exit status."""
    message, status = f"this is a bug: {_describe(error)}; --debug shows the traceback", BUG
    match error:
        case TyperException():
            hint = " (--help explains the options)"
            message = error.format_message() and f"{error.format_message()}{hint}"
            status = getattr(error, "exit_code", USAGE)
        case SettingsError():
            message, status = str(error), USAGE
        case PermanentError():
            message, status = str(error), FAILED
        case ImportError() | MemoryError() | OSError() | SystemError() if is_out_of_memory(error):
            message, status = f"out of memory: {REMEDIES[errno.ENOMEM]}", FAILED
        case OSError():
            message, status = _explain_os_error(error), FAILED
        case RuntimeError() if "start new thread" in str(error):
            message, status = f"no thread can be started: {REMEDIES[errno.EAGAIN]}", FAILED
        case ImportError():
            reason = f"the installation is not complete ({error})"
            message, status = f"{reason}: install the requirements again", FAILED
    return message, status


def _explain_os_error(error: OSError) -> str:
    what = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    remedy = REMEDIES.get(error.errno or 0, "")
    if not what and _WHERE in remedy:  # it is about something else than a file
        remedy = ""
    return redact(f"{what}{error.strerror or error}{f'; {remedy}' if remedy else ''}")


def _describe(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((frame for frame in reversed(frames) if "/oat/" in frame.filename), None)
    place = f" ({Path(ours.filename).name}, line {ours.lineno})" if ours else ""
    return redact(f"{type(error).__name__}: {error}{place}")


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in " ".join(text.split()))
