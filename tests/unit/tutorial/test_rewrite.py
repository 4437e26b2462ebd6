"""`make tutorial` changes what has changed, and nothing else; with ANEW=1, all that came."""

from tutorial.chapter import Line, Step
from tutorial.compare import Comparison, Match, Names
from tutorial.rewrite import renewed, replace_lines, rewritten

A, B, C, D = (f"{n}0000000-0000-4000-8000-000000000000" for n in "abcd")


def rewrite(shown, came, is_anew=False):
    lines = [Line(number, text) for number, text in enumerate(shown, 1)]
    return rewritten(Step(0, 1, "command", lines), came, Names(), is_anew)


def renew(shown, came):
    lines = [Line(number, text) for number, text in enumerate(shown, 1)]
    match = Comparison(lines, counts_vary=False, is_all=True).match(came, Names())
    assert isinstance(match, Match)
    return renewed(match, came, counts_vary=False)


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


def test_anew_lines_that_are_alike_have_the_values_that_came():
    came = ["2027-01-01 00:00:00,000 started", f"took 4 ms, 'width': 7, {C}", "────"]
    assert renew(["2026-11-26 17:02:16,837 started", f"took 3 ms, 'width': 9, {A}", "──"], came) == came


def test_anew_what_is_shortened_stays_so():
    shown = [f"generated task: {{'uuid': UUID('{A}'), 'width': 1, ...}}", "...", "took 3 ms"]
    came = [f"generated task: {{'uuid': UUID('{C}'), 'width': 3, 'height': 4}}", "one", "two", "took 4 ms"]
    assert renew(shown, came) == [
        f"generated task: {{'uuid': UUID('{C}'), 'width': 3, ...}}", "...", "took 4 ms"
    ]  # fmt: skip


def test_anew_log_lines_stand_in_the_order_in_which_they_came():
    def log(*lines):
        return [f"2026-11-26 17:02:16,837 {line}" for line in lines]

    came = log(f"processing {C}", f"done {C}", f"processing {D}", f"done {D}")
    assert renew(log(f"processing {A}", f"processing {B}", f"done {A}", f"done {B}"), came) == came


def test_anew_a_step_that_differs_is_as_it_came():
    came = [f"processing {C} in 4 ms", f"finished {C}"]
    assert rewrite([f"processing {A} in 3 ms", f"done {A}"], came, is_anew=True)[0] == came


def test_anew_the_uuids_of_the_run_are_everywhere(tmp_path):
    file = tmp_path / "chapter.md"
    file.write_text(f"See {A}:\n\n```console\n$ oat show {A}\n{A} old\n```\n")
    replace_lines(file, {4: ([Line(5, f"{A} old")], [f"{C} new"])}, Names({A: C}))
    assert file.read_text() == f"See {C}:\n\n```console\n$ oat show {C}\n{C} new\n```\n"


def test_only_the_lines_of_a_step_are_replaced(tmp_path):
    file = tmp_path / "chapter.md"
    file.write_text("```console\n$ a\nold\n$ b\n```\n")
    replace_lines(file, {2: ([Line(3, "old")], ["new", "newer"]), 4: ([], ["came"])})
    assert file.read_text() == "```console\n$ a\nnew\nnewer\n$ b\ncame\n```\n"
