"""Every command of the tutorial runs as it stands, and shows what the chapter shows."""

import re

import pytest

from helpers.missing import leave_out
from tutorial.machine import ROOT, run_chapters, why_not

CHAPTERS = sorted((ROOT / "docs" / "tutorial").glob("[0-9]*.md"))
LONG = {"8", "9"}
"""Chapters for `make test-tutorial`: machines and clusters, which need minutes and root."""

USUAL = [each for each in CHAPTERS if each.name[0] not in LONG]


def assert_true(chapters, folder):
    for each in chapters:
        if reason := why_not(each):
            leave_out(f"the tutorial needs namespaces: {reason}")
    done = run_chapters(chapters, folder)
    assert done.returncode == 0, f"\n{done.stdout}{done.stderr}"


@pytest.mark.timeout(3600)
def test_the_chapters_are_true_for_who_reads_them_one_after_another(tmp_path):
    assert_true(USUAL, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("chapter", CHAPTERS, ids=[each.stem for each in CHAPTERS])
@pytest.mark.timeout(3600)
def test_a_chapter_is_true_by_itself(chapter, tmp_path):
    assert_true([chapter], tmp_path)


def test_the_index_leads_to_each_chapter_in_order():
    index = (ROOT / "docs" / "tutorial" / "index.md").read_text()
    assert re.findall(r"\]\((\d[\w-]+\.md)\)", index) == [each.name for each in CHAPTERS]
