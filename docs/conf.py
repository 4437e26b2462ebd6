"""The site of the documentation: Sphinx reads the Markdown (MyST), Furo is the theme. `make docs` builds it.

Links to the code lead to pages of the site as well: each file that a page links to is shown there, with its lines,
so that the site needs no other one.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, guess_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.application import Sphinx

DOCS = Path(__file__).parent
ROOT = DOCS.parent

project = "oat"
author = "the contributors"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
extensions = ["myst_parser"]
exclude_patterns = ["_build"]

myst_heading_anchors = 4
myst_url_schemes = {"http": None, "https": None, "file": None}

html_theme = "furo"
html_title = f"oat {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options: dict[str, list[str]] = {"top_of_page_buttons": []}

OUTWARD = re.compile(r"\]\((?P<path>\.\./[^)#\s]+?)/?(?P<line>#L[0-9]+)?\)")
"""A link in Markdown that leads upwards; out of docs/, if it goes that far."""


def _outside(page: Path, path: str) -> str | None:
    """Return where `path`, seen from `page`, is below the root of the repository; None if it is in docs/."""
    target = (page.parent / path).resolve()
    return None if target.is_relative_to(DOCS) else target.relative_to(ROOT).as_posix()


def _mark_links(_app: Sphinx, name: str, content: list[str]) -> None:
    """Give links out of docs/ a scheme of their own, which MyST leaves alone."""

    def mark(link: re.Match[str]) -> str:
        target = _outside(DOCS / name, link["path"])
        return link[0] if target is None else f"](file:{target}{link['line'] or ''})"

    content[0] = OUTWARD.sub(mark, content[0])


def _point_to_code(app: Sphinx, doctree: nodes.document, name: str) -> None:
    for link in doctree.findall(nodes.reference):
        if (target := link.get("refuri", "")).startswith("file:"):
            path, _, line = target.removeprefix("file:").partition("#L")
            link["refuri"] = app.builder.get_relative_uri(name, f"code/{path}") + (f"#L-{line}" if line else "")


def _code_pages(_app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    linked = {
        target
        for page in DOCS.rglob("*.md")
        for link in OUTWARD.finditer(page.read_text())
        if (target := _outside(page, link["path"]))
    }
    formatter = HtmlFormatter(linenos="inline", linespans="L")
    for target in sorted(linked):
        path = ROOT / target
        if path.is_dir():
            files = "\n".join(sorted(each.name for each in path.iterdir() if not each.name.startswith("__")))
            body = highlight(files, TextLexer(), formatter)
        else:
            text = path.read_text()
            try:
                lexer = guess_lexer_for_filename(path.name, text)
            except ClassNotFound:
                lexer = TextLexer()
            body = highlight(text, lexer, formatter)
        yield f"code/{target}", {"title": target, "body": f"<h1>{target}</h1>\n{body}"}, "page.html"


def setup(app: Sphinx) -> None:
    """Connect the above to Sphinx."""
    app.connect("source-read", _mark_links)
    app.connect("doctree-resolved", _point_to_code)
    app.connect("html-collect-pages", _code_pages)
