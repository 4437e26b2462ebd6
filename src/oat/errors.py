"""Errors that a person mends: each message is one line that says what would."""


class PermanentError(Exception):
    """An error that a retry would not fix; its message is one line that says what would."""


class SettingsError(PermanentError, ValueError):
    """A setting has an unusable value; the message names the setting and what is expected."""
