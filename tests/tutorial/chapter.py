"""A chapter as steps: what is typed into which terminal, what is shown afterwards, and where that stands."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

PROMPT = "$ "
KEYS = {"^C": "c", "^Z": "z"}
"""What stands for Ctrl and a key."""

COUNTS_VARY = "<!-- counts vary -->"
"""Before a block: its whole numbers are compared by kind as well."""

TERMINAL = re.compile(r"\bterminal (\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """A line of output as the chapter shows it."""

    number: int
    text: str


@dataclass
class Step:
    """What a reader does at one terminal, and sees there afterwards."""

    number: int
    """The line in the chapter."""
    terminal: int
    typed: str | None
    """A command, one of `KEYS`, or None: the program that runs there goes on."""
    lines: list[Line] = field(default_factory=list)
    counts_vary: bool = False
    ends: bool = True
    """Whether the shell asks for the next command afterwards; no, if a program stays in the foreground."""

    @property
    def behind(self) -> int:
        """The line in the chapter behind which its output stands."""
        return self.number + (self.typed or "").count("\n")


@dataclass(frozen=True)
class Picture:
    """A picture that is linked to the page that it shows."""

    number: int
    file: Path
    url: str


def read_chapter(path: Path) -> list[Step | Picture]:
    """Return the steps and the pictures of a chapter, in their order."""
    found: list[Step | Picture] = []
    terminal, before, counts_vary = 1, "", False
    tokens = MarkdownIt().enable("table").parse(path.read_text())
    for token in tokens:
        if token.type == "inline":
            before = token.content
            found += pictures_in(token, path.parent)
        elif token.type == "html_block":
            counts_vary = token.content.strip() == COUNTS_VARY
        elif token.type == "fence":
            if token.info.split()[:1] == ["console"]:
                named = TERMINAL.findall(before)
                terminal = int(named[-1]) if named else terminal
                found += steps_in(token, terminal, counts_vary)
            counts_vary, before = False, ""
    steps = [each for each in found if isinstance(each, Step)]
    for number, step in enumerate(steps):
        later = next((each for each in steps[number + 1 :] if each.terminal == step.terminal), None)
        step.ends = later is None or later.typed not in (None, *KEYS)
    return found


def pictures_in(token: Token, folder: Path) -> list[Picture]:
    """Return the pictures of a paragraph that are links."""
    found, url = [], None
    for child in token.children or ():
        if child.type == "link_open":
            url = str(child.attrs["href"])
        elif child.type == "link_close":
            url = None
        elif child.type == "image" and url:
            assert token.map
            found.append(Picture(token.map[0] + 1, folder / str(child.attrs["src"]), url))
    return found


def steps_in(fence: Token, terminal: int, counts_vary: bool) -> list[Step]:
    """Return the steps of a block; a command may go on behind a backslash."""
    assert fence.map
    steps: list[Step] = []
    is_continued = False
    for number, text in enumerate(fence.content.splitlines(), fence.map[0] + 2):
        if is_continued:
            steps[-1].typed = f"{steps[-1].typed}\n{text}"
            is_continued = text.endswith("\\")
        elif text.startswith(PROMPT):
            steps.append(Step(number, terminal, text.removeprefix(PROMPT), counts_vary=counts_vary))
            is_continued = text.endswith("\\")
        elif text in KEYS:
            steps.append(Step(number, terminal, text, counts_vary=counts_vary))
        else:
            if not steps:
                steps.append(Step(number, terminal, None, counts_vary=counts_vary))
            steps[-1].lines.append(Line(number, text.rstrip()))
    return steps
