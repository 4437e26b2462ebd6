"""What varies is compared by kind, everything else as it stands; and a drift is told with its line."""

import pytest

from tutorial.chapter import Line
from tutorial.compare import Comparison, Match, Names, Progress

A, B, C, D = (f"{n}0000000-0000-4000-8000-000000000000" for n in "abcd")


def compare(shown, came, names=None, is_all=True, counts_vary=False):
    lines = [Line(number, text) for number, text in enumerate(shown, 1)]
    return Comparison(lines, counts_vary, is_all).match(came, names or Names())


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        (
            "2026-11-26 17:02:16,837 sleeping for 2.680171 seconds",
            "2015-02-12 22:21:42,927 sleeping for 10.0 seconds",
        ),
        ("took 98 ms", "took 1.2 s"),
        ("│ size  │ 42626    │", "│ size  │ 9  │"),
        ("'width': 728, 'cx': -0.5e-05", "'width': 9, 'cx': 1.25"),
        ("127.0.0.1:51234 -> 127.0.0.1:5672", "127.0.0.1:44444 -> 127.0.0.1:5672"),
        ("generated task: {'width': 5, ...}", "generated task: {'width': 77, 'height': 3}"),
        ("RabbitMQ 3.10.8", "RabbitMQ 4.0.5"),
        ("────", "─────────"),
        ("| debian |\n+-----+", "| debian       |\n+---------+"),
        ("public=172.24.4.155", "public=172.24.4.7"),
        ("| 3aaceb40b5ae4c4ca881b71a3882cb84 |", "| 00ceb40b5ae4c4ca881b71a3882cb84f |"),
    ],
)
def test_alike(shown, came):
    assert isinstance(compare([shown], [came]), Match)


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        ("generating 2 task(s)", "generating 3 task(s)"),
        ("2026-11-26 17:02:16,837 processing task", "2026-11-26 17:02:16,837 processing the task"),
        ("127.0.0.1:5672", "127.0.0.2:5672"),
        ("127.0.0.1:5672", "127.0.0.1:5673"),
        ("http://172.24.4.1:15000", "http://172.24.4.2:15000"),
        ("10.20.0.0/24", "10.20.0.1/24"),
        ("done", "done and more"),
        ("status done", "status failed"),
    ],
)
def test_not_alike(shown, came):
    outcome = compare([shown], [came])
    assert isinstance(outcome, Progress)
    assert (outcome.line, outcome.came, outcome.may_come) == (Line(1, shown), came, False)


def test_whole_numbers_where_they_vary():
    assert isinstance(compare(["tasks 17"], ["tasks 4"], counts_vary=True), Match)
    assert isinstance(compare(["tasks 17"], ["tasks none"], counts_vary=True), Progress)


def test_a_uuid_is_the_same_one_everywhere():
    first = compare([f"task {A}"], [f"task {C}"])
    assert first.names.real == {A: C}
    assert isinstance(compare([f"result {A}"], [f"result {C}"], first.names), Match)
    assert isinstance(compare([f"result {A}"], [f"result {D}"], first.names), Progress)
    assert isinstance(compare([f"result {B}"], [f"result {C}"], first.names), Progress)


def log(*lines):
    return [f"2026-11-26 17:02:16,837 {line}" for line in lines]


def test_log_lines_of_different_tasks_come_in_any_order():
    shown = log(f"processing {A}", f"processing {B}", f"done {A}", f"done {B}")
    assert isinstance(compare(shown, log(f"processing {C}", f"done {C}", f"processing {D}", f"done {D}")), Match)
    assert isinstance(compare(shown, log(f"processing {C}", f"processing {D}", f"done {D}", f"done {C}")), Match)


def test_log_lines_of_one_task_come_in_their_order():
    shown = log(f"processing {A}", f"done {A}")
    assert isinstance(compare(shown, log(f"done {C}", f"processing {C}")), Progress)


def test_other_lines_come_in_their_order():
    assert isinstance(compare([f"row {A}", f"line {B}"], [f"line {C}", f"row {D}"]), Progress)


def test_an_ellipsis_stands_for_any_lines():
    assert isinstance(compare(["one", "...", "four"], ["one", "two", "three", "four"]), Match)
    assert isinstance(compare(["...", "four"], ["four"]), Match)
    assert isinstance(compare(["one", "..."], ["one", "two"]), Match)
    assert isinstance(compare(["one", "...", "four"], ["one", "four", "five"]), Progress)


def test_of_a_program_in_the_foreground_more_may_come():
    outcome = compare(["one", "two"], ["one"], is_all=False)
    assert (outcome.line, outcome.came, outcome.may_come) == (Line(2, "two"), None, True)
    assert compare(["one"], ["one", "two"], is_all=False).used == 1


def test_one_line_too_many_is_a_drift():
    assert isinstance(compare(["one"], ["one", "two"]), Progress)
    assert isinstance(compare([], ["one"]), Progress)
