"""Checks that the page on troubleshooting has every warning and error the program can print. Part of `make lint`.

They are found in the sources: `log.warning`, `log.error`, `log.exception`, `raise …Error(…)`, and what the
statistics say is stuck. What stands between the placeholders of each has to be on the page, in that order.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/how-to/troubleshooting.md"

LOGGED = ("warning", "error", "exception")
STUCK = "stuck"
"""The function whose texts the gallery, `oat status` and the API show as warnings."""

SHORTEST = 5
"""Characters of a text; what is shorter only joins what others say."""

WITHOUT_REMEDY = {
    "cx and cy belong together: give both or neither": "it says itself what to do",
    "the viewport is empty: xa equals xb, or ya equals yb": "as above",
    "a result has a duration and a checksum, or an error": "the page on messages has it",
}
"""What need not be on the page, and why not."""


def words(node: ast.expr) -> tuple[str, ...]:
    """Return what stands between the placeholders of a text in the sources, without signs at its ends."""
    parts: list[str] = []
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parts = re.split(r"%[-+0-9.]*[sdifrg]", node.value)
    elif isinstance(node, ast.JoinedStr):
        parts = [str(each.value) for each in node.values if isinstance(each, ast.Constant)]
    return tuple(filter(None, (" ".join(part.split()).strip(" :;,.()'") for part in parts)))


def texts(tree: ast.Module) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the line and the text of each warning and error in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == STUCK:
            tuples = [each for each in ast.walk(node) if isinstance(each, ast.Tuple)]
            yield from ((text.lineno, words(text)) for each in tuples for text in each.elts)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from ((node.lineno, words(argument)) for argument in node.exc.args)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LOGGED
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
        ):
            yield node.lineno, words(node.args[0])


def missing(sources: Path, page: str) -> Iterator[str]:
    """Yield what a page does not say of the modules below a folder, and the exceptions that are none any more."""
    page, seen = " ".join(page.split()), set()
    for path in sorted(sources.rglob("*.py")):
        for line, parts in texts(ast.parse(path.read_text())):
            text = " … ".join(parts)
            seen.add(text)
            if len(text) < SHORTEST or text in WITHOUT_REMEDY:
                continue
            if not re.search(r".{0,40}?".join(map(re.escape, parts)), page):
                yield f"{path.relative_to(sources)}:{line}: not in {PAGE.name}: {text}"
    yield from (f"nothing in the sources says any more: {text}" for text in WITHOUT_REMEDY.keys() - seen)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    faults = list(missing(ROOT / "src/oat", PAGE.read_text()))
    print(*faults, sep="\n", end="\n" if faults else "")
    sys.exit(bool(faults))
