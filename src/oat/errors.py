"""Errors that a person mends: each message is one line that says what would."""

import errno

LIMIT_REMEDIES = {
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the system's limit of open files (fs.file-max)",
    errno.EFBIG: "raise the limit of the size of files (ulimit -f)",
}
"""What helps where the system's limit of open files, or of their size, is reached."""


class PermanentError(Exception):
    """An error that a retry would not fix; its message is one line that says what would."""


class SettingsError(PermanentError, ValueError):
    """A setting has an unusable value; the message names the setting and what is expected."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether `error`, or what it came from, is that there is no memory, for a library as well."""
    while error is not None:
        text = str(error)
        if isinstance(error, MemoryError) or "map segment" in text or "llocate memory" in text:
            return True
        if isinstance(error, SystemError) and "without exception set" in text:
            return True  # CPython's, of a module in C that had none left even for its error
        if isinstance(error, OSError) and "shared object" in text and error.errno is None:
            return (
                True  # llvmlite's, which does not pass on the reason; it is installed, or pip would have said so
            )
        error = error.__cause__ or error.__context__
    return False
