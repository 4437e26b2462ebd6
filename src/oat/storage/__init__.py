"""Storage: where the images are stored, each under the name `<uuid>.png`.

`Store` is what others use; its backend is a directory or a bucket of an object store.
"""

from oat.storage.store import Store

__all__ = ["Store"]
