"""Storage: where images are kept, each under the name `<uuid>.png`, in a directory or in a bucket."""

from oat.storage.store import Store

__all__ = ["Store"]
