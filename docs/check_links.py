"""Checks the Markdown files: links, anchors, and what they say about the code. Part of `make lint`.

A link to a file of the code names something of it in a code span: a function, class or constant by its name
(`Worker.run`), or a part of the line itself. With `#Lnn` in the link it has to be in that very line; `--fix`
writes the numbers anew. Files, `make` targets and `OAT_…` variables that are named in code must exist as well.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent

LINK = re.compile(r"\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)\)")
FILE = re.compile(r"(?:[\w.@-]+/)+[\w.@-]+\.(?:py|sh|md|yaml|toml|css|js|html|txt|service|conf)")
VARIABLE = re.compile(r"\bOAT_[A-Z_]*[A-Z]\b")
MAKE = re.compile(r"(?:^|\n|`)make ([a-z-]+)")


def markdown_files() -> list[Path]:
    """Return all Markdown files of the repository."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("[!.]*/**/*.md")]
    return sorted(path for path in found if "_build" not in path.parts)


@cache
def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a Markdown file, as forges and MyST make them."""
    tokens = MarkdownIt().enable("table").parse(path.read_text())
    titles = [tokens[n + 1] for n, token in enumerate(tokens) if token.type == "heading_open"]
    texts = ("".join(child.content for child in title.children or ()).lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", text).replace(" ", "-") for text in texts}


@cache
def symbols(path: Path) -> dict[str, int]:
    """Return the lines of the functions, classes, constants and attributes of a Python file, by qualified name."""
    found: dict[str, int] = {}

    def visit(body: Iterable[ast.AST], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.setdefault(prefix + node.name, node.lineno)
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}{node.name}.")
                elif prefix:  # a method, and what it assigns to self
                    visit(
                        (each for each in ast.walk(node) if isinstance(each, ast.Assign | ast.AnnAssign)), prefix
                    )
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    for each in ast.walk(target):
                        name = getattr(each, "id", getattr(each, "attr", None))
                        found.setdefault(f"{prefix}{name}", node.lineno)

    visit(ast.parse(path.read_text()).body, "")
    return found


def lines_of(path: Path, name: str) -> list[int]:
    """Return in which lines of a file of code `name` is: where it is defined, or else where it stands."""
    if path.suffix == ".py" and re.fullmatch(r"[\w.]+", name):
        return [symbols(path)[name]] if name in symbols(path) else []
    return [number for number, line in enumerate(path.read_text().splitlines(), 1) if name in line]


def check_link(page: Path, text: str, target: str) -> tuple[str | None, str | None]:
    """Return what is wrong with a link, and what its target should be where that is known."""
    path_text, _, anchor = target.partition("#")
    path = (page.parent / path_text).resolve() if path_text else page
    if not path.exists():
        return f"there is no {path_text}", None
    if path.suffix == ".md":
        return (f"{path_text} has no heading #{anchor}" if anchor and anchor not in anchors(path) else None), None
    return _check_code(text, path_text, anchor, path) if path.is_file() else (None, None)


def _check_code(text: str, path_text: str, anchor: str, path: Path) -> tuple[str | None, str | None]:
    names = re.findall(r"`([^`]+)`", text)
    if not names:
        return (f"a link to a line names, in a code span, what is there: {anchor}" if anchor else None), None
    found = lines_of(path, names[0])
    is_file = path_text.endswith(names[0]) or names[0] == path.stem
    if not found and not is_file:
        return f"`{names[0]}` is not in {path_text}", None
    if anchor and anchor.removeprefix("L") not in map(str, found):
        return f"`{names[0]}` is in line(s) {found} of {path_text}, not in {anchor}", f"{path_text}#L{found[0]}"
    return None, None


def code_in(tokens: list[Token]) -> Iterator[str]:
    """Yield what the code spans and code blocks of a page hold."""
    for token in tokens:
        if token.type in ("code_inline", "code_block", "fence"):
            yield token.content
        yield from code_in(token.children or [])


def check(page: Path, targets: set[str], variables: set[str]) -> Iterator[str]:
    """Yield what is wrong in a page."""
    source = page.read_text()
    prose = re.sub(r"^(```.*?^```|(?: {4}[^\n]*(?:\n|\Z))+)", "", source, flags=re.MULTILINE | re.DOTALL)
    for link in LINK.finditer(prose):
        if not re.match(r"[a-z]+:", link["target"]):
            fault, _ = check_link(page, link["text"], link["target"])
            if fault:
                yield fault
    for code in code_in(MarkdownIt().enable("table").parse(source)):
        if "\n" not in code and FILE.fullmatch(code) and not any((d / code).exists() for d in (ROOT, page.parent)):
            yield f"there is no file {code}"
        yield from (f"there is no target `make {name}`" for name in {*MAKE.findall(f"`{code}")} - targets)
        yield from (f"there is no variable {name}" for name in {*VARIABLE.findall(code)} - variables)


def fix(page: Path) -> None:
    """Write the line numbers of the links of a page anew."""

    def mended(link: re.Match[str]) -> str:
        if re.match(r"[a-z]+:", link["target"]):
            return link[0]
        _, target = check_link(page, link["text"], link["target"])
        return f"[{link['text']}]({target})" if target else link[0]

    page.write_text(LINK.sub(mended, page.read_text()))


def known(root: Path) -> tuple[set[str], set[str]]:
    """Return the targets of make, and the variables that the settings reference and the tools know."""
    sources = [*root.glob("docs/reference/settings.md"), root / "Vagrantfile", *root.glob("src/oat/commands/*.py")]
    sources += [*root.glob("cloud/**/*.py"), *root.glob("provision/*.sh")]
    variables = {name for path in sources for name in VARIABLE.findall(path.read_text())}
    makefiles = [root / "Makefile", *root.glob("*/*.mk")]
    targets = {name for file in makefiles for name in re.findall(r"^([a-z-]+):", file.read_text(), re.MULTILINE)}
    return targets, variables


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fix", action="store_true", help="write the line numbers of links to code anew")
    pages = markdown_files()
    if parser.parse_args().fix:
        for each in pages:
            fix(each)
    faults = [f"{each.relative_to(ROOT)}: {fault}" for each in pages for fault in check(each, *known(ROOT))]
    print(*faults, sep="\n", end="\n" if faults else "")
    sys.exit(bool(faults))
