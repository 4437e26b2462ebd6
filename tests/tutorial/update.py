"""Runs chapters and writes their outputs and pictures anew: `make tutorial`, or with CHAPTER=3 one of them."""

import argparse
import sys
import tempfile
from pathlib import Path

from tutorial.machine import ROOT, run_chapter

CHAPTERS = sorted((ROOT / "docs" / "tutorial").glob("[0-9]*.md"))


def main() -> int:
    """Update the chapters; return how many did not run to their end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", help="of the chapters; none, all")
    numbers = parser.parse_args().numbers
    failed = 0
    for chapter in CHAPTERS:
        if numbers and chapter.name.partition("-")[0] not in numbers:
            continue
        print(f"{chapter.relative_to(ROOT)}: ", end="", flush=True)
        with tempfile.TemporaryDirectory(prefix="oat-") as folder:
            done = run_chapter(chapter, Path(folder), "--update")
        print("written" if done.returncode == 0 else f"failed\n{done.stdout}{done.stderr}", flush=True)
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
