"""The store: where images are kept, each under the name `<uuid>.png`: a directory, or a bucket of an object store.

A directory is for one machine, or for several that share it. A bucket is for as many as there are: any server
that speaks S3, OpenStack Swift among them. Its endpoint, region and credentials come from the variables that
every S3 tool knows (`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`).
"""

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from oat.process import remove_stale_files, stale_files, temporary_name, write_atomically
from oat.settings import SettingsError, mask_password

SUFFIX = ".png"


def uuid_of(name: str) -> UUID | None:
    """Return the UUID of the image that is called `name`; None if that is no name of an image."""
    try:
        uuid = UUID(name.removesuffix(SUFFIX))
    except ValueError:
        return None
    return uuid if name == f"{uuid}{SUFFIX}" else None


class Store:
    """Images by UUID.

    Every fault of a store in use is an `OSError`, that is, passing: it may be at hand again later.

    Args:
        target: a directory, or `s3://bucket/prefix`.

    Raises:
        SettingsError: it is neither.
    """

    def __init__(self, target: str) -> None:
        self._place: _Place = _Bucket(target) if "://" in target else _Directory(target)

    def prepare(self) -> None:
        """See that images can be written; make the directory, and remove what killed workers left half written.

        Raises:
            SettingsError: they cannot.
            OSError: the server is not at hand now.
        """
        self._place.prepare()

    def put(self, uuid: UUID, image: bytes) -> str:
        """Store `image` so that at no moment a part of it stands under its name, and return where it is.

        Raises:
            OSError: it cannot be written now (disk full, server down); nothing is left behind.
        """
        return self._place.put(f"{uuid}{SUFFIX}", image)

    def get(self, uuid: UUID) -> bytes:
        """Return the image of `uuid`.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be read now.
        """
        return self._place.get(f"{uuid}{SUFFIX}")

    def delete(self, uuid: UUID) -> None:
        """Delete the image of `uuid`, if there is one.

        Raises:
            OSError: it cannot be deleted now.
        """
        self._place.delete(f"{uuid}{SUFFIX}")

    def names(self) -> Iterator[str]:
        """Go through the names of all that lies in the store.

        Raises:
            OSError: it cannot be read now.
        """
        return self._place.names()

    def uuids(self) -> Iterator[UUID]:
        """Go through the UUIDs of all images, in no order.

        Raises:
            OSError: they cannot be listed now.
        """
        return (uuid for name in self.names() if (uuid := uuid_of(name)))

    def stale_files(self) -> Iterator[str]:
        """Go through the names of the files that killed workers left half written; in a bucket there are none."""
        return self._place.stale_files()


class _Place(Protocol):
    """Where bytes are kept by name."""

    def prepare(self) -> None: ...
    def put(self, name: str, content: bytes) -> str: ...
    def get(self, name: str) -> bytes: ...
    def delete(self, name: str) -> None: ...
    def names(self) -> Iterator[str]: ...
    def stale_files(self) -> Iterator[str]: ...


class _Directory:
    """A directory of the file system."""

    def __init__(self, target: str) -> None:
        self.path = Path(target)

    def prepare(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            os.unlink(write_atomically(self.path, temporary_name("probe.part"), b""))  # noqa: PTH108 (it is no `Path`)
            remove_stale_files(self.path)
        except OSError as error:
            raise SettingsError(f"images cannot be written to {self.path}: {error.strerror}") from error

    def put(self, name: str, content: bytes) -> str:
        return write_atomically(self.path, name, content)

    def get(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def delete(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError), os.scandir(self.path) as entries:
            for entry in entries:
                yield entry.name

    def stale_files(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError):
            yield from (path.name for path in stale_files(self.path))


class _Bucket:
    """What lies under a prefix of a bucket; an object appears when the whole of it has arrived."""

    def __init__(self, target: str) -> None:
        from obstore.exceptions import BaseError  # noqa: PLC0415 (50 ms that only those pay who use it)
        from obstore.store import S3Store  # noqa: PLC0415 (as above)

        self.url = target.rstrip("/")
        parts = urlsplit(target)
        # Of names that do not fit a bucket or a host, the library below dies instead of raising an error.
        if parts.scheme != "s3" or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc):
            raise SettingsError(
                f"the target {mask_password(target)!r} is neither a folder nor of the form s3://bucket/prefix"
            )
        for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
            endpoint = os.environ.get(variable)
            if endpoint is not None and not re.fullmatch(r"https?://[\w.\[\]:-]+(/[\w./~-]*)?", endpoint):
                raise SettingsError(f"{variable}: expected http[s]://host:port, not {mask_password(endpoint)!r}")
        # A few quick attempts bridge a closed connection; longer faults are for the caller to wait for.
        try:
            self._objects = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                client_options={
                    "allow_http": True,
                    "connect_timeout": timedelta(seconds=5),
                    "timeout": timedelta(seconds=60),
                },
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
            )
        except BaseError as error:
            raise SettingsError(f"{self.url}: {_reason(error)}") from None

    def prepare(self) -> None:
        probe = temporary_name(f"{uuid4().hex}.part")
        try:
            self.put(probe, b"")
            self.delete(probe)
        except (PermissionError, FileNotFoundError) as error:
            raise SettingsError(str(error)) from None

    def put(self, name: str, content: bytes) -> str:
        with self._faults():
            attributes = {"Content-Type": "image/png"}
            self._objects.put(name, content, attributes=attributes, use_multipart=False)
        return f"{self.url}/{name}"

    def get(self, name: str) -> bytes:
        with self._faults():
            return bytes(self._objects.get(name).bytes())

    def delete(self, name: str) -> None:
        with self._faults():
            self._objects.delete(name)

    def names(self) -> Iterator[str]:
        with self._faults():
            for chunk in self._objects.list():
                yield from (name for item in chunk if "/" not in (name := item["path"]))

    def stale_files(self) -> Iterator[str]:
        return iter(())

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn the library's errors into the ones of the operating system, in one line without credentials."""
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError  # noqa: PLC0415 (as above)

        try:
            yield
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self.url}: {_reason(error)}") from None
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise PermissionError(f"{self.url}: {_reason(error)}") from None
        except BaseError as error:
            if "/latest/api/token" in str(error):  # where a machine of a cloud would get its credentials
                raise PermissionError(
                    f"{self.url}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                ) from None
            raise OSError(f"{self.url}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return the first line of `error`, with the code of the server's answer in place of the whole of it."""
    text = str(error).partition("\n\nDebug source")[0]
    code = re.search(r"<Code>(\w+)</Code>", text)
    text = re.sub(r":?\s*<.*", f" ({code[1]})" if code else "", text, flags=re.DOTALL)
    return " ".join(text.split())
