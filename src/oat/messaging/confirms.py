"""Publisher confirms: the messages published on a channel that the broker has not confirmed yet."""

from collections.abc import Callable


class Confirms:
    """The unconfirmed messages of a channel, each with a function to call once the broker has stored it."""

    def __init__(self) -> None:
        self._published = 0
        self._unconfirmed: dict[int, Callable[[], None]] = {}

    def __len__(self) -> int:
        return len(self._unconfirmed)

    def published(self, on_confirm: Callable[[], None]) -> None:
        """Note that a message was published; the channel numbers them from 1."""
        self._published += 1
        self._unconfirmed[self._published] = on_confirm

    def confirmed(self, tag: int, multiple: bool) -> list[Callable[[], None]]:
        """Return what to call now that message number `tag`, and all before it if `multiple`, is confirmed."""
        tags = [number for number in self._unconfirmed if number <= tag] if multiple else [tag]
        return [self._unconfirmed.pop(number) for number in tags]

    def all_confirmed(self) -> list[Callable[[], None]]:
        """Return what to call now that every message is confirmed."""
        return self.confirmed(self._published, multiple=True)
