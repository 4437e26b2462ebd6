"""Runs chapters and writes what has changed, and their pictures: `make tutorial`, or with CHAPTER=3 one of them.

With ANEW=1 it writes all outputs. The chapters in the cloud, each of which goes on from where the one before has
left it, are run when they are named: CHAPTER=cloud-3, or CHAPTER=cloud for all of them.
"""

import argparse
import re
import signal
import sys
import time
from pathlib import Path

from helpers.guard import temporary_folder
from tutorial.machine import ROOT, run_chapters

CHAPTERS = sorted((ROOT / "docs" / "tutorial").glob("*[0-9]-*.md"))
CLOUD = "cloud"


def main() -> int:
    """Update the chapters, or compare them; return how many did not run to their end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="3, cloud-3, cloud; none, all that are not in the cloud")
    parser.add_argument("--anew", action="store_true", help="also values that varied, those of one run throughout")
    parser.add_argument("--compare", action="store_true", help="write nothing, tell what differs")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    words = [] if options.compare else ["--update", *(["--anew"] if options.anew else [])]
    failed = 0
    for chapter in CHAPTERS:
        if not is_meant(chapter, options.names):
            continue
        print(f"{chapter.relative_to(ROOT)}: ", end="", flush=True)
        began = time.monotonic()
        with temporary_folder() as folder:
            done = run_chapters([chapter], folder, *words)
        result = ("true" if options.compare else "written") if done.returncode == 0 else "failed"
        print(f"{result}, after {time.monotonic() - began:.0f} s", flush=True)
        if done.returncode:
            print(f"{done.stdout}{done.stderr}", flush=True)
            failed += 1
            if chapter.name.startswith(CLOUD):
                break
    return failed


def is_meant(chapter: Path, names: list[str]) -> bool:
    """Return whether a chapter is among those named."""
    found = re.match(rf"(?:({CLOUD})-)?\d+", chapter.name)
    assert found, chapter
    return found[0] in names or found[1] in (names or [None])


if __name__ == "__main__":
    sys.exit(main())
