"""The target: where the images go, a directory or a prefix in a bucket of an object store."""

import re
from dataclasses import dataclass

from oat.addresses.paths import expand
from oat.errors import SettingsError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|(s3|file|https?):", re.IGNORECASE)
"""How a URL begins, also one of an object store with slashes too few."""

_BUCKET = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<prefix>(/[\w.!~'()+=,-]+)*)/?", re.ASCII
)
"""A bucket by S3's rules for its name, and a prefix of signs that mean nothing in a URL."""


@dataclass(frozen=True)
class BucketAddress:
    """A prefix in a bucket; it has no secrets, those of S3 are in variables of their own."""

    bucket: str
    prefix: str
    """Without slashes at its ends; empty for all of the bucket."""

    @property
    def name(self) -> str:
        """The URL, without a slash at its end."""
        return f"s3://{self.bucket}{'/' if self.prefix else ''}{self.prefix}"


def parse_target(target: str) -> BucketAddress | str:
    """Return the address of a bucket, or the absolute path of a directory.

    Raises:
        SettingsError: it is neither; the message quotes no secret.
    """
    if match := _BUCKET.fullmatch(target):
        prefix = match["prefix"].strip("/")
        if not {".", ".."} & set(prefix.split("/")):
            return BucketAddress(match["bucket"], prefix)
    elif not _URL.match(target):
        return expand(target)
    raise SettingsError("the target is neither a directory nor of the form s3://bucket/prefix")
