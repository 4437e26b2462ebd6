"""Tasks and results at the boundary: what is valid, and what is rejected with which UUID."""

import json
import math
import pickle
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oat.constant import MAX_ITERATIONS, MIN_ESCAPE_TIME, escape_time
from oat.messages import (
    MAX_REPORTED,
    InvalidMessageError,
    ProgressReport,
    Result,
    Task,
    parse_progress_report,
    parse_result,
    parse_task,
)
from oat.settings import Limits

LIMITS = Limits()


SPEC = {
    "uuid": "66d5f67e-d26d-42fb-9d88-3c3830b4187a",
    "width": 728, "height": 876, "iterations": 395,
    "xa": -1.2576814065507933, "xb": 1.6486035545865234, "ya": -2.8587178863035616, "yb": 2.6351683415972076,
}  # fmt: skip


def body(**changes):
    return json.dumps({name: value for name, value in (SPEC | changes).items() if value is not ...})


def test_the_specs_eight_fields_are_a_task_with_an_interesting_constant_always_the_same():
    task, again = parse_task(body(), LIMITS), parse_task(body().encode(), LIMITS)
    assert task == again
    assert MIN_ESCAPE_TIME < escape_time(task.cx, task.cy) < MAX_ITERATIONS
    assert parse_task(body(uuid=str(uuid4())), LIMITS).cx != task.cx


def test_a_given_constant_is_kept_and_unknown_fields_are_ignored():
    task = parse_task(body(cx=0, cy=-1.5, colour="red"), LIMITS)
    assert (task.cx, task.cy) == (0, -1.5)


@given(st.builds(Task, uuid=st.uuids(), width=st.integers(2, 9), height=st.integers(2, 9),
                 iterations=st.integers(1, 9), xa=st.floats(-9, -1), xb=st.floats(0, 9), ya=st.floats(-9, -1),
                 yb=st.floats(0, 9), cx=st.floats(-2, 2), cy=st.floats(-2, 2)))  # fmt: skip
def test_a_task_is_the_same_after_serialization(task):
    assert parse_task(task.to_json(), LIMITS) == task


@pytest.mark.parametrize("field", [name for name in SPEC if name != "uuid"])
def test_a_missing_field_is_named_and_the_uuid_known(field):
    with pytest.raises(InvalidMessageError, match=field) as caught:
        parse_task(body(**{field: ...}), LIMITS)
    assert caught.value.uuid == UUID(SPEC["uuid"])


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 1}, {"height": 0}, {"height": -5}, {"width": 2.5}, {"width": "300"}, {"width": True},
        {"width": None}, {"width": 10**9}, {"width": 10**5000}, {"width": 30_000, "height": 30_000},
        {"iterations": 0}, {"iterations": 10**9}, {"width": 8000, "height": 8000, "iterations": 10**6},
        {"xa": math.nan}, {"xb": math.inf}, {"ya": -math.inf}, {"yb": "1"}, {"xa": SPEC["xb"]}, {"yb": SPEC["ya"]},
        {"cx": 0.5}, {"cy": 0.5}, {"cx": math.nan, "cy": 0},
    ],
)  # fmt: skip
def test_a_task_out_of_range_is_invalid_and_its_uuid_known(changes):
    try:
        message = body(**changes)
    except ValueError:  # json will not write so many digits
        message = body(width=0).replace('"width": 0', '"width": 1' + 5000 * "0")
    with pytest.raises(InvalidMessageError) as caught:
        parse_task(message, LIMITS)
    assert caught.value.uuid in (UUID(SPEC["uuid"]), None)
    assert str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        b"", b"hello", b"[]", b"null", b'"x"', b"{", b"\xff\xfe\x00", pickle.dumps(SPEC),
        body(uuid=...), body(uuid="../../etc/passwd"), body(uuid=7), body(uuid=None), b"[" * 30_000, b" " * 70_000,
        body() + " " * 70_000,
    ],
)  # fmt: skip
def test_a_message_without_a_uuid_is_invalid(message):
    with pytest.raises(InvalidMessageError) as caught:
        parse_task(message, LIMITS)
    assert caught.value.uuid is None


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "image", SPEC["uuid"] + "/"])
def test_a_uuid_that_is_none_is_no_task(name):
    """It becomes the name of a file."""
    with pytest.raises(InvalidMessageError):
        parse_task(body(uuid=name, cx=0, cy=-1.5), LIMITS)


def test_a_result_and_a_failure():
    good = Result(uuid=uuid4(), duration=0.5, checksum="0" * 64, size=9, worker="w")
    bad = Result(uuid=uuid4(), error="disk full")
    assert parse_result(good.to_json()) == good
    assert json.loads(bad.to_json()).keys() == {"uuid", "error"}


@pytest.mark.parametrize(
    "changes",
    [{"duration": ...}, {"checksum": ...}, {"checksum": "x" * 64}, {"checksum": "A" * 64}, {"duration": -1.0},
     {"duration": math.nan}, {"size": -1}, {"worker": "w" * 300}, {"worker": "w\0"}, {"error": "\0"},
     {"worker": "\n\0"}, {"error": ""}, {"uuid": "/tmp/x"}],
)  # fmt: skip
def test_an_invalid_result(changes):
    fields = {"uuid": SPEC["uuid"], "duration": 1.0, "checksum": "0" * 64} | changes
    with pytest.raises(InvalidMessageError):
        parse_result(json.dumps({name: value for name, value in fields.items() if value is not ...}))


REPORT = {"worker": "host", "pid": 4711, "rendering": [str(uuid4())], "finished": {str(uuid4()): 0.5}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pid": 0}, "pid"),
        ({"worker": "a" * 256}, "worker"),
        ({"worker": "a\0"}, "worker"),
        ({"rendering": ["../etc"]}, "rendering.0"),
        ({"prefetched": [str(uuid4())] * (MAX_REPORTED + 1)}, "prefetched"),
        ({"finished": {"../etc": 1}}, "finished"),
        ({"finished": {str(uuid4()): -1}}, "finished"),
        ({"finished": {str(uuid4()): math.inf}}, "finished"),
    ],
)
def test_an_invalid_progress_report_is_rejected(changes, said):
    assert parse_progress_report(json.dumps(REPORT)).pid == 4711
    with pytest.raises(InvalidMessageError, match=said):
        parse_progress_report(json.dumps(REPORT | changes))


def test_the_largest_progress_report_is_below_the_limit_of_messages():
    uuids = [uuid4() for _ in range(MAX_REPORTED)]
    finished = dict.fromkeys(uuids, 12345.6)
    report = ProgressReport(worker="a" * 255, pid=2**31 - 1, prefetched=uuids, finished=finished)
    assert parse_progress_report(report.to_json()) == report
