"""The site of the documentation: Sphinx reads the Markdown (MyST), Furo is the theme. `make docs` builds it.

Links to the code lead to pages of the site as well: each file that a page links to is shown there, with its lines,
and so are README, CONTRIBUTING and CHANGELOG: the site needs no other one.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
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
myst_url_schemes = {"http": None, "https": None, "repo": None}

html_theme = "furo"
html_title = f"oat {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options: dict[str, list[str]] = {"top_of_page_buttons": []}

OUTWARD = re.compile(r"\]\((?P<path>\.\./[^)#\s]+?)/?(?P<anchor>#[^)\s]*)?\)")
"""A link in Markdown that leads upwards; out of docs/, if it goes that far."""


IMAGES = (".png", ".webp")


def _outside(page: Path, path: str) -> str | None:
    """Return where `path`, seen from `page`, is below the root of the repository; None if it is in docs/."""
    target = (page.parent / path).resolve()
    return None if target.is_relative_to(DOCS) else target.relative_to(ROOT).as_posix()


def _mark_links(_app: Sphinx, name: str, content: list[str]) -> None:
    """Give links out of docs/ a scheme of their own, which MyST leaves alone."""

    def mark(link: re.Match[str]) -> str:
        target = _outside(DOCS / name, link["path"])
        return link[0] if target is None else f"](repo:{target}{link['anchor'] or ''})"

    content[0] = OUTWARD.sub(mark, content[0])


def _point_to_code(app: Sphinx, doctree: nodes.document, name: str) -> None:
    for link in doctree.findall(nodes.reference):
        if (target := link.get("refuri", "")).startswith("repo:"):
            path, *anchor = re.sub("#L([0-9]+)$", r"#L-\1", target.removeprefix("repo:")).partition("#")
            link["refuri"] = app.builder.get_relative_uri(name, f"code/{path}") + "".join(anchor)


def _page_of(path: Path) -> str:
    """Return a file of the repository as HTML: Markdown as text, a folder as a list, and code with its lines."""
    if path.suffix == ".md":
        return _text_of(path)
    if path.is_dir():
        text = "\n".join(sorted(each.name for each in path.iterdir() if not each.name.startswith("__")))
    else:
        text = path.read_text()
    try:
        lexer = guess_lexer_for_filename(path.name, text)
    except ClassNotFound:
        lexer = TextLexer()
    body: str = highlight(text, lexer, HtmlFormatter(linenos="inline", linespans="L"))
    return f"<h1>{path.relative_to(ROOT)}</h1>\n{body}"


def _text_of(path: Path) -> str:
    up = "../" * len(path.relative_to(ROOT).parts)

    def inward(link: re.Match[str]) -> str:
        target, *anchor = link[2].partition("#")
        if re.match("https?:|$", target):
            return link[0]
        there = (path.parent / target).resolve()
        if there.suffix in IMAGES:
            return f'{link[1]}="{up}_images/{there.name}"'
        page = (
            there.relative_to(DOCS).with_suffix("")
            if there.is_relative_to(DOCS)
            else f"code/{there.relative_to(ROOT)}"
        )
        return f'{link[1]}="{up}{page}.html{"".join(anchor)}"'

    html = MarkdownIt().enable("table").use(anchors_plugin, max_level=4).render(path.read_text())
    html = html.replace("<table>", '<table class="docutils">')
    html = re.sub(
        r"<pre><code[^>]*>(.*?)</code></pre>", r'<div class="highlight"><pre>\1</pre></div>', html, flags=re.DOTALL
    )
    html = html.replace("<code>", '<code class="docutils literal notranslate">')
    return re.sub(r'\b(href|src)="([^"]*)"', inward, html)


def _code_pages(_app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    pages = [*ROOT.glob("*.md"), *(path for path in ROOT.glob("[!.]*/**/*.md") if "_build" not in path.parts)]
    links = [(page, link[1]) for page in pages for link in re.finditer(r"\]\(([^):#\s]+)", page.read_text())]
    linked = {target for page, link in links if (target := _outside(page, link)) and (ROOT / target).exists()}
    for target in sorted(linked):
        yield f"code/{target}", {"title": target, "body": _page_of(ROOT / target)}, "page.html"


def setup(app: Sphinx) -> None:
    """Connect the above to Sphinx."""
    app.connect("source-read", _mark_links)
    app.connect("doctree-resolved", _point_to_code)
    app.connect("html-collect-pages", _code_pages)
