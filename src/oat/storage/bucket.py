"""A bucket of an object store as the backend of the store: any server with the S3 API, OpenStack Swift among them.

The endpoint, the region and the credentials come from the environment variables that all S3 clients know:
`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from oat.addresses import BucketAddress, check_endpoint, unset_empty
from oat.settings import SettingsError

if TYPE_CHECKING:
    from obstore.store import S3Store

CONNECT_TIMEOUT = timedelta(seconds=5)
"""Until a server that does not accept the connection counts as not reachable."""

MIN_REQUEST_TIMEOUT = timedelta(seconds=60)
"""For a whole request, the upload of an image included; more where `OAT_MAX_PIXELS` allows images above 60 MB."""

MIN_THROUGHPUT = 1_000_000
"""Bytes a second of an upload or a download, at least: a slower one is a timeout."""

MAX_RETRIES = 2
"""Retries of the library itself, enough for a connection that the server has closed. What takes longer is an
`OSError`, and the caller decides when to retry."""

RETRY_TIMEOUT = timedelta(seconds=10)
"""From the first attempt on, after which the library does not retry."""

PROBE = ".oat-probe"
"""The object that a worker writes to see whether it may write: it has no byte, and always this name."""

_STATUS = re.compile(r"status code: ([0-9]{3})")
"""In the message of an error."""

_PASSING = frozenset({"408", "409", "412", "425", "429"})
"""Statuses from 300 to 499 that are over after a while. The others, and 501, are there after a retry as well:
another region, a right that the key has not, a request that the server does not know."""

_PASSING_CODES = {
    "RequestTimeTooSkewed": "the clock of this machine, or of the server, is wrong by minutes: see timedatectl",
    "QuotaExceeded": "free some space, or have the quota raised",
    "XMinioAdminBucketQuotaExceeded": "free some space, or have the quota raised",
    "RequestTimeout": "",
    "IncompleteBody": "",
    "BadDigest": "",
    "XAmzContentSHA256Mismatch": "",
    "Throttling": "",
}
"""Codes of S3, Ceph and MinIO in answers with such a status that are over after a while as well, and what helps: a
clock that is not set yet, a full bucket, a request that was damaged or delayed on its way, too many of them."""

_CODE = re.compile(r"<Code>(\w+)</Code>")
"""In the server's response, which is in the message of an error."""

_NO_S3 = ("redirect without LOCATION", "Unable to extract metadata")
"""In the message of an error that has no status: the bucket is in another region, or the server has not S3."""

_SETTINGS = "AWS_ENDPOINT_URL, AWS_REGION and AWS_ACCESS_KEY_ID say which server, where, and who asks"

_METADATA_SERVICE = "/latest/api/token"
"""The path at which a virtual machine's metadata service is asked for credentials, if there are no others."""


class Bucket:
    """The objects under a prefix of a bucket; an object appears when its upload is complete.

    Args:
        address: the bucket and the prefix.
        max_size: bytes of the largest object, for which the timeout of a request has to suffice.
    """

    def __init__(self, address: BucketAddress, max_size: int) -> None:
        self.url = address.name
        unset_empty("AWS_")
        # Checked here because obstore panics, instead of raising an error, if the address has no host.
        for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
            if endpoint := os.environ.get(variable):
                check_endpoint(variable, endpoint)
        self._objects = self._connect(address.bucket, address.prefix, max_size)

    def _connect(self, bucket: str, prefix: str, max_size: int) -> "S3Store":
        from obstore.exceptions import BaseError  # noqa: PLC0415 (50 ms that a process with a directory saves)
        from obstore.store import S3Store  # noqa: PLC0415 (as above)

        try:
            return S3Store(
                bucket,
                prefix=prefix or None,
                client_options={
                    "allow_http": True,
                    "connect_timeout": CONNECT_TIMEOUT,
                    "timeout": max(MIN_REQUEST_TIMEOUT, timedelta(seconds=max_size / MIN_THROUGHPUT)),
                },
                disable_bulk_delete=True,  # not every S3 server has it
                retry_config={"max_retries": MAX_RETRIES, "retry_timeout": RETRY_TIMEOUT},
            )
        except BaseError as error:
            raise SettingsError(f"{self.url}: {_summary(error)}") from None

    def prepare(self) -> None:
        """Check that objects can be written, by putting an empty one, which is deleted if that is allowed.

        A worker needs no right to delete; without it one empty object stays, of the same name for all workers.
        """
        try:
            self.put(PROBE, b"")
        except (PermissionError, FileNotFoundError) as error:
            raise SettingsError(f"{error}; {_SETTINGS}") from None
        with contextlib.suppress(OSError):
            self.delete(PROBE)

    def put(self, name: str, content: bytes) -> str:
        """Upload an object and return its URL."""
        with self._as_os_error():
            attributes = {"Content-Type": "image/png"}
            self._objects.put(name, content, attributes=attributes, use_multipart=False)
        return f"{self.url}/{name}"

    def get(self, name: str) -> bytes:
        """Download an object."""
        with self._as_os_error():
            return bytes(self._objects.get(name).bytes())

    def size(self, name: str) -> int:
        """Return the size of an object in bytes."""
        with self._as_os_error():
            return self._objects.head(name)["size"]

    def delete(self, name: str) -> None:
        """Delete an object, if it exists."""
        try:
            with self._as_os_error():
                self._objects.delete(name)
        except FileNotFoundError:
            return  # some servers answer so where S3 says that it is deleted
        except PermissionError as error:
            raise PermissionError(
                f"{error}; to delete objects, the server and the key's rights have to allow it (s3:DeleteObject)"
            ) from None

    def names(self) -> Iterator[str]:
        """Yield the names of all objects under the prefix, except those under longer prefixes."""
        with self._as_os_error():
            for chunk in self._objects.list():
                names = (item["path"] for item in chunk)
                yield from (name for name in names if "/" not in name and name != PROBE)

    def stale_files(self) -> Iterator[str]:
        """Yield nothing: an upload that is interrupted leaves no object."""
        return iter(())

    @contextlib.contextmanager
    def _as_os_error(self) -> Iterator[None]:
        """Raise obstore's errors as `OSError`, with a message of one line without credentials."""
        from obstore.exceptions import BaseError  # noqa: PLC0415 (as above)

        try:
            yield
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self.url}: {_summary(error)}") from None
        except BaseError as error:
            if _METADATA_SERVICE in str(error):
                raise PermissionError(
                    f"{self.url}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                ) from None
            if _is_refusal(str(error)):
                raise PermissionError(f"{self.url}: {_summary(error)}") from None
            raise OSError(f"{self.url}: {_summary(error)}") from None


def _is_refusal(text: str) -> bool:
    code, status = _CODE.search(text), _STATUS.search(text)
    if code is not None and code[1] in _PASSING_CODES:
        return False
    if status is None:
        return any(part in text for part in _NO_S3)
    return status[1] == "501" or (status[1][0] in "34" and status[1] not in _PASSING)


def _summary(error: Exception) -> str:
    """Return the message of `error` in one line: the server's response is reduced to its code, and a remedy."""
    text = str(error).partition("\n\nDebug source")[0]
    code = _CODE.search(text)
    remedy = _PASSING_CODES.get(code[1]) if code else None
    text = re.sub(r":?\s*<.*", f" ({code[1]})" if code else "", text, flags=re.DOTALL)
    return " ".join(text.split()) + (f"; {remedy}" if remedy else "")
