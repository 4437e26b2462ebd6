"""Every command of the tutorial runs as it stands, and shows what the chapter shows."""

import re

import pytest

from helpers.missing import leave_out
from tutorial.machine import ROOT, run_chapter, why_not

CHAPTERS = sorted((ROOT / "docs" / "tutorial").glob("[0-9]*.md"))
LONG = {"8", "9"}
"""Chapters for `make test-tutorial`: machines and clusters, which need minutes and root."""


@pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(each, marks=pytest.mark.long if each.name[0] in LONG else (), id=each.stem)
        for each in CHAPTERS
    ],
)
@pytest.mark.timeout(3600)
def test_a_chapter_is_true(chapter, tmp_path):
    if reason := why_not(chapter):
        leave_out(f"the tutorial needs namespaces: {reason}")
    done = run_chapter(chapter, tmp_path)
    assert done.returncode == 0, f"\n{done.stdout}{done.stderr}"


def test_the_index_leads_to_each_chapter_in_order():
    index = (ROOT / "docs" / "tutorial" / "index.md").read_text()
    assert re.findall(r"\]\((\d[\w-]+\.md)\)", index) == [each.name for each in CHAPTERS]
