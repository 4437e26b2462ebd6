"""Compares the lines that came with those that a chapter shows.

* A line is like another if what varies is of the same kind in both. A UUID stands for one UUID of this run,
  wherever the chapter names it.
* The lines of a log that name the same UUID come in their order, and so do those that name none. Which of two
  tasks comes first is chance: lines of different UUIDs may come in either order.
* All other lines come in their order. `...` alone in a line stands for any lines, as in a doctest.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tutorial.chapter import Line
from tutorial.kinds import ELLIPSIS, is_log, pattern_of, uuids_in


@dataclass(frozen=True)
class Names:
    """Which UUID of this run each UUID of the chapter stands for."""

    real: dict[str, str] = field(default_factory=dict)

    def with_line(self, shown: str, came: str, counts_vary: bool) -> "Names | None":
        """Return the names as known after `came` is seen for `shown`; None if it is not like it."""
        found = pattern_of(shown, counts_vary).fullmatch(came)
        if not found:
            return None
        real = dict(self.real)
        for name, value in zip(uuids_in(shown), found.groups(), strict=True):
            if real.get(name, value) != value or (name not in real and value in real.values()):
                return None
            real[name] = value
        return Names(real)

    def typed(self, text: str) -> str:
        """Return `text` of the chapter with the UUIDs of this run, as a reader types them."""
        for name, value in self.real.items():
            text = text.replace(name, value)
        return text

    def shown(self, text: str) -> str:
        """Return `text` of this run with the UUIDs of the chapter, where these are known."""
        for name, value in self.real.items():
            text = text.replace(value, name)
        return text


@dataclass(frozen=True)
class Match:
    """All lines of a step came."""

    names: Names
    used: int
    """How many of the lines that came belong to it."""
    pairs: tuple[tuple[str, int | None], ...] = ()
    """The lines of the step in the order in which they came, each with its index; None for an ellipsis."""


@dataclass
class Progress:
    """How far the comparison got at best."""

    matched: int = -1
    line: Line | None = None
    """The first line of the chapter for which none came."""
    came: str | None = None
    """What came instead; None if nothing has come yet."""
    may_come: bool = False
    """Whether more output could still make it right."""

    def note(self, matched: int, line: Line | None, came: str | None) -> None:
        """Note where one attempt ended."""
        self.may_come |= came is None
        if matched > self.matched:
            self.matched, self.line, self.came = matched, line, came


@dataclass(frozen=True)
class Comparison:
    """The lines of a step, to be compared with what came."""

    lines: list[Line]
    counts_vary: bool
    is_all: bool
    """Whether nothing may come behind them: the program has ended."""

    def match(self, came: list[str], names: Names) -> Match | Progress:
        """Return the match, or how far it got."""
        segments: list[list[Line]] = [[]]
        for line in self.lines:
            if line.text.strip() == ELLIPSIS:
                segments.append([])
            else:
                segments[-1].append(line)
        progress = Progress()
        for match in self._segments(segments, 0, came, Match(names, 0), progress):
            return match
        return progress

    def _segments(
        self, segments: list[list[Line]], number: int, came: list[str], before: Match, progress: Progress
    ) -> Iterator[Match]:
        segment, is_last = segments[number], number == len(segments) - 1
        if number:
            before = replace(before, pairs=(*before.pairs, (ELLIPSIS, None)))
        if number and is_last and not segment:  # an ellipsis at the end
            yield replace(before, used=len(came))
            return
        starts = range(before.used, len(came) + 1) if number else (before.used,)
        for first in starts:
            for match in self._lines(segment, (), came, replace(before, used=first), progress):
                if not is_last:
                    yield from self._segments(segments, number + 1, came, match, progress)
                elif not self.is_all or match.used == len(came):
                    yield match
                else:
                    progress.note(sum(map(len, segments[: number + 1])), None, came[match.used])

    def _lines(
        self, segment: list[Line], done: tuple[int, ...], came: list[str], before: Match, progress: Progress
    ) -> Iterator[Match]:
        """Yield how the rest of a segment matches what came behind `before`."""
        if len(done) == len(segment):
            yield before
            return
        possible = list(candidates(segment, done))
        at = before.used
        if at == len(came):
            progress.note(len(done), segment[possible[0]], None)
            return
        for number in possible:
            text = segment[number].text
            known = before.names.with_line(text, came[at], self.counts_vary)
            if known:
                match = Match(known, at + 1, (*before.pairs, (text, at)))
                yield from self._lines(segment, (*done, number), came, match, progress)
            else:
                progress.note(len(done), segment[possible[0]], came[at])


def candidates(segment: list[Line], done: tuple[int, ...]) -> Iterator[int]:
    """Yield which lines of a segment may come next: the first one of each UUID, as long as all are of a log."""
    seen: set[str] = set()
    first = True
    for number, line in enumerate(segment):
        if number in done:
            continue
        if not is_log(line.text):
            if first:
                yield number
            return
        subject = next(iter(uuids_in(line.text)), "")
        if subject not in seen:
            seen.add(subject)
            yield number
        first = False
