"""Runs chapters and writes what has changed, and their pictures: `make tutorial`, or with CHAPTER=3 one of them.

With ANEW=1 it writes all outputs.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tutorial.machine import ROOT, run_chapter

CHAPTERS = sorted((ROOT / "docs" / "tutorial").glob("[0-9]*.md"))


def main() -> int:
    """Update the chapters; return how many did not run to their end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", help="of the chapters; none, all")
    parser.add_argument("--anew", action="store_true", help="also values that varied, those of one run throughout")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    failed = 0
    for chapter in CHAPTERS:
        if options.numbers and chapter.name.partition("-")[0] not in options.numbers:
            continue
        print(f"{chapter.relative_to(ROOT)}: ", end="", flush=True)
        with tempfile.TemporaryDirectory(prefix="oat-") as folder:
            done = run_chapter(chapter, Path(folder), "--update", *(["--anew"] if options.anew else []))
        print("written" if done.returncode == 0 else f"failed\n{done.stdout}{done.stderr}", flush=True)
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
