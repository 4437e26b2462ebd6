"""The store: puts, gets, deletes and lists images by UUID, in a directory or in a bucket of an object store.

The setting `target` selects the backend: a directory for one host, or for several that share it; a bucket for any
number of hosts.
"""

from collections.abc import Iterator
from typing import Protocol
from uuid import UUID

from oat.addresses import parse_target
from oat.storage.bucket import Bucket
from oat.storage.directory import Directory

SUFFIX = ".png"


def uuid_of(name: str) -> UUID | None:
    """Return the UUID of the image with the name `name`, None if no image can have this name."""
    try:
        uuid = UUID(name.removesuffix(SUFFIX))
    except ValueError:
        return None
    return uuid if name == f"{uuid}{SUFFIX}" else None


class _Backend(Protocol):
    """Stores bytes under names. The methods raise the errors of `Store`'s methods."""

    def prepare(self) -> None: ...
    def put(self, name: str, content: bytes) -> str: ...
    def get(self, name: str) -> bytes: ...
    def size(self, name: str) -> int: ...
    def delete(self, name: str) -> None: ...
    def names(self) -> Iterator[str]: ...
    def stale_files(self) -> Iterator[str]: ...


class Store:
    """Images by UUID; may be used by several threads at once.

    After `prepare` every error is an `OSError`, and temporary: the caller may retry.

    Args:
        target: a directory, or `s3://bucket/prefix`.
        max_size: bytes of the largest image: an object store gets time for as many.

    Raises:
        SettingsError: it is neither.
    """

    def __init__(self, target: str, max_size: int = 2**26) -> None:
        address = parse_target(target)
        self._backend: _Backend = Directory(address) if isinstance(address, str) else Bucket(address, max_size)

    def prepare(self) -> None:
        """Check that images can be written; a directory is created, and its stale temporary files are removed.

        Raises:
            SettingsError: images cannot be written, and a retry would not help.
            OSError: the server cannot be reached now.
        """
        self._backend.prepare()

    def put(self, uuid: UUID, image: bytes) -> str:
        """Store `image` atomically, replacing an earlier image of `uuid`, and return its path or URL.

        Raises:
            OSError: it cannot be stored now (disk full, server not reachable); nothing is left of it.
        """
        return self._backend.put(f"{uuid}{SUFFIX}", image)

    def get(self, uuid: UUID) -> bytes:
        """Return the image of `uuid`.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be read now.
        """
        return self._backend.get(f"{uuid}{SUFFIX}")

    def size(self, uuid: UUID) -> int:
        """Return the size of the image of `uuid` in bytes.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be told now.
        """
        return self._backend.size(f"{uuid}{SUFFIX}")

    def delete(self, uuid: UUID) -> None:
        """Delete the image of `uuid`; do nothing if there is none.

        Raises:
            OSError: it cannot be deleted now.
        """
        self._backend.delete(f"{uuid}{SUFFIX}")

    def names(self) -> Iterator[str]:
        """Yield the names of all files or objects in the store, images or not, in no particular order.

        Raises:
            OSError: they cannot be listed now.
        """
        return self._backend.names()

    def uuids(self) -> Iterator[UUID]:
        """Yield the UUIDs of all images, in no particular order.

        Raises:
            OSError: they cannot be listed now.
        """
        return (uuid for name in self.names() if (uuid := uuid_of(name)))

    def stale_files(self) -> Iterator[str]:
        """Yield the names of the temporary files of killed workers; a bucket has none.

        Raises:
            OSError: they cannot be listed now.
        """
        return self._backend.stale_files()
