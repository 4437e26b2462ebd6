"""Secrets: the passwords and tokens that this process has read, kept to be removed from what libraries say."""

import os
import re
from urllib.parse import quote

MIN_LENGTH = 4
"""Characters of a secret that is replaced: shorter ones are in every other word."""

VARIABLES = ("OAT_API_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")

_USERINFO = re.compile(
    r"(?<=://)(?![^\s/:@]*:\*\*\*@)[^\s/]*@|(?<![^\s'\"=,])[^\s/@:'\"=,]+:(?!\*\*\*@)[^\s/@'\"]+@"
)
"""What stands in front of a host, with a scheme or without, unless it has asterisks already."""

_PARAMETER = re.compile(r"((?:pass\w*|sslpassword|token|secret)=)[^\s&'\"]+", re.IGNORECASE)

_secrets: set[str] = set()


def remember_secret(secret: str | None) -> None:
    """Have `redact` replace `secret`, as it is and percent-encoded."""
    if secret and len(secret) >= MIN_LENGTH:
        _secrets.update((secret, quote(secret, safe=""), quote(secret)))


def redact(text: str) -> str:
    """Return `text`, of an exception that is not ours, with asterisks for all that may be a secret."""
    known = _secrets | {os.environ.get(name, "") for name in VARIABLES}
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= MIN_LENGTH:
            text = text.replace(secret, "***")
    return redact_urls(text)


def redact_urls(text: str) -> str:
    """Return `text`, which may repeat what was given, with asterisks for what URLs have in front of a host."""
    return _PARAMETER.sub(r"\1***", _USERINFO.sub("***@", text))
