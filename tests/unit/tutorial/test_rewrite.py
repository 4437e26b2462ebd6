"""`make tutorial` changes what has changed, and nothing else."""

from tutorial.chapter import Line, Step
from tutorial.compare import Names
from tutorial.rewrite import replace_lines, rewritten

A, B, C, D = (f"{n}0000000-0000-4000-8000-000000000000" for n in "abcd")


def rewrite(shown, came):
    lines = [Line(number, text) for number, text in enumerate(shown, 1)]
    return rewritten(Step(0, 1, "command", lines), came, Names())


def test_lines_that_are_alike_stay_as_they_are():
    shown = ["2026-11-26 17:02:16,837 started", "took 3 ms"]
    assert rewrite(shown, ["2027-01-01 00:00:00,000 started", "took 4 ms"])[0] == shown


def test_a_changed_line_is_changed_with_the_uuids_of_the_chapter():
    lines, names = rewrite([f"processing {A}", f"done {A}"], [f"processing {C}", f"finished {C}"])
    assert lines == [f"processing {A}", f"finished {A}"]
    assert names.real[A] == C


def test_new_lines_come_in_and_old_ones_go():
    assert rewrite(["one", "two", "three"], ["one", "three", "four"])[0] == ["one", "three", "four"]


def test_an_ellipsis_stays():
    assert rewrite(["...", "last line"], ["one", "two", "the last line"])[0] == ["...", "the last line"]


def test_only_the_lines_of_a_step_are_replaced(tmp_path):
    file = tmp_path / "chapter.md"
    file.write_text("```console\n$ a\nold\n$ b\n```\n")
    replace_lines(file, {2: ([Line(3, "old")], ["new", "newer"]), 4: ([], ["came"])})
    assert file.read_text() == "```console\n$ a\nnew\nnewer\n$ b\ncame\n```\n"
