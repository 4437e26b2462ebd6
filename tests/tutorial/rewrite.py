"""Writes the output of a run into a chapter.

Lines that are like those that came stay as they are: a change of the program is a small change of a chapter. Anew,
every line is the one that came, and the UUIDs are those of the run, in commands and in the text as well. What is
shortened by an ellipsis stays so.
"""

from difflib import SequenceMatcher
from pathlib import Path

from tutorial.chapter import Line, Step
from tutorial.compare import Match, Names
from tutorial.kinds import ELLIPSIS, shortened

MISSING = 1.0
"""The cost of a line that only one side has."""
SWALLOWED = 0.01
"""The cost of a line that an ellipsis stands for: less than any other."""


def rewritten(step: Step, came: list[str], names: Names, is_anew: bool) -> tuple[list[str], Names]:
    """Return the lines of a step that differs as they should be, and the names known then."""
    pairs = aligned([line.text for line in step.lines], came, step.counts_vary)
    result: list[str] = []
    for shown, real in pairs:
        if real is None:
            result += [shown] if shown == ELLIPSIS else []
            continue
        known = names.with_line(shown, real, step.counts_vary) if shown is not None else None
        if known and shown is not None:
            names = known
            result.append(shortened(real, shown, step.counts_vary) if is_anew else shown)
        else:
            text = names.shown(real)
            names = names.with_line(text, real, False) or names
            result.append(real if is_anew else text)
    return result, names


def renewed(match: Match, came: list[str], counts_vary: bool) -> list[str]:
    """Return the lines of a step, which are like those that came, with the values that came."""
    return [text if at is None else shortened(came[at], text, counts_vary) for text, at in match.pairs]


def aligned(shown: list[str], came: list[str], counts_vary: bool) -> list[tuple[str | None, str | None]]:
    """Return pairs of lines that belong together, at the least cost; a line that an ellipsis hides is in none."""
    costs = [[0.0] * (len(came) + 1) for _ in range(len(shown) + 1)]
    best: list[list[str]] = [[""] * (len(came) + 1) for _ in range(len(shown) + 1)]
    for i in range(len(shown) + 1):
        for j in range(len(came) + 1):
            options: list[tuple[float, str]] = [(0.0, "")] if i == j == 0 else []
            hidden = i > 0 and shown[i - 1].strip() == ELLIPSIS
            if i and j and not hidden:
                options.append((costs[i - 1][j - 1] + cost(shown[i - 1], came[j - 1], counts_vary), "pair"))
            if j:
                options.append(
                    (costs[i][j - 1] + (SWALLOWED if hidden else MISSING), "hidden" if hidden else "new")
                )
            if i:
                options.append((costs[i - 1][j] + (0 if hidden else MISSING), "gone"))
            costs[i][j], best[i][j] = min(options)
    pairs: list[tuple[str | None, str | None]] = []
    i, j = len(shown), len(came)
    while i or j:
        step = best[i][j]
        if step == "pair":
            pairs.append((shown[i - 1], came[j - 1]))
        elif step == "new":
            pairs.append((None, came[j - 1]))
        elif step == "gone":
            pairs.append((shown[i - 1], None))
        i -= step in ("pair", "gone")
        j -= step in ("pair", "new", "hidden")
    return pairs[::-1]


def cost(shown: str, came: str, counts_vary: bool) -> float:
    """Return what it costs to have `came` instead of `shown`: nothing if they are alike."""
    if Names().with_line(shown, came, counts_vary):
        return 0.0
    return MISSING - SequenceMatcher(None, shown, came, autojunk=False).ratio() / 2


def replace_lines(
    path: Path, changes: dict[int, tuple[list[Line], list[str]]], names: Names | None = None
) -> None:
    """Write new lines into a chapter: behind line `n`, those that were there become those that should be.

    With `names`, the UUIDs of the chapter become those of the run everywhere.
    """
    text = path.read_text().splitlines()
    for number, (old, new) in sorted(changes.items(), reverse=True):
        start = old[0].number - 1 if old else number
        text[start : start + len(old)] = new
    lines = "\n".join(text) + "\n"
    path.write_text(names.typed(lines) if names else lines)
