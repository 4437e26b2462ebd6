"""A bounded memory of the last messages, for when the broker redelivers what was done on a lost connection."""

from collections import OrderedDict
from typing import Generic, TypeVar

_ValueT = TypeVar("_ValueT")


class Recent(Generic[_ValueT]):
    """The values of the last `capacity` message bodies that were added."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[bytes | str, _ValueT] = OrderedDict()

    def add(self, body: bytes | str, value: _ValueT) -> None:
        """Remember the `value` of `body`, and forget the oldest one if there are too many."""
        self._values[body] = value
        self._values.move_to_end(body)
        if len(self._values) > self._capacity:
            self._values.popitem(last=False)

    def get(self, body: bytes | str) -> _ValueT | None:
        """Return the value of `body`, None if it is forgotten; may be called from any thread."""
        return self._values.get(body)

    def __contains__(self, body: bytes | str) -> bool:
        return body in self._values
