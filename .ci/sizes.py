"""A module has at most 300 lines, a function at most 50: names those above, and fails if there are any.

A text in a function, such as a server's configuration, is a document of its own: its lines do not count.
"""

import argparse
import ast
import subprocess
import sys
from pathlib import Path

MODULE, FUNCTION = 300, 50


def above(path: Path) -> list[str]:
    """The module and its functions that are too long, a line each."""
    text = path.read_text()
    found = [f"{path}: {text.count(chr(10))} lines"] if text.count("\n") > MODULE else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1 - lines_of_texts(node)
            if lines > FUNCTION:
                found.append(f"{path}:{node.lineno}: {node.name} has {lines} lines")
    return found


def lines_of_texts(function: ast.AST) -> int:
    """The lines of the strings in a function, but for docstrings."""
    docstrings = {id(node.value) for node in ast.walk(function) if isinstance(node, ast.Expr)}
    texts = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
    ]
    spans = {(text.lineno, text.end_lineno or 0) for text in texts if id(text) not in docstrings}
    return len({line for first, last in spans for line in range(first, last)})


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py"], capture_output=True, check=True
    )
    paths = [path for path in map(Path, listed.stdout.decode().splitlines()) if path.exists()]
    sys.exit("\n".join(line for path in paths for line in above(path)) or 0)
