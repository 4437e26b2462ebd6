"""Which problem the audit sees in a record and its image."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from oat.records.database import Record
from oat.records.states import Status
from oat.services.audit import Problem, judge
from oat.settings import Settings

NOW = datetime(2026, 1, 1)


SETTINGS = Settings(lease=10, resend_after=10)


AGO = NOW - timedelta(seconds=50)


DONE = Record(UUID(int=1), Status.DONE, "aa", None, 1, AGO, AGO, AGO, unpublished=False)


FAILED = replace(DONE, status=Status.FAILED, checksum=None, error="no disk")


WAITING = replace(DONE, status=Status.WAITING, checksum=None, finished_at=None)


LATER = NOW + timedelta(days=366)


CANCELLED = replace(DONE, status=Status.CANCELLED, checksum=None)


@pytest.mark.parametrize(
    ("record", "image", "quiet", "problem"),
    [
        (DONE, "aa", True, None),
        (DONE, None, True, Problem.IMAGE_MISSING),
        (DONE, "bb", False, Problem.IMAGE_DIFFERS),
        (FAILED, None, True, None),
        (replace(FAILED, error=None), None, True, Problem.NO_REASON),
        (FAILED, "aa", True, Problem.RESULT_LOST),
        (FAILED, "aa", False, None),
        (CANCELLED, None, True, None),
        (CANCELLED, "aa", True, None),
        (WAITING, None, True, Problem.UNANSWERED),
        (WAITING, None, False, None),
        (replace(WAITING, attempts=3), None, True, None),
        (replace(WAITING, unpublished=True), None, False, Problem.UNPUBLISHED),
        (replace(WAITING, unpublished=True, sent_at=NOW), None, True, None),
        (replace(WAITING, sent_at=NOW - timedelta(seconds=19)), None, True, None),
        (replace(WAITING, sent_at=LATER), None, True, Problem.IN_FUTURE),
        (replace(WAITING, sent_at=LATER, unpublished=True), None, False, Problem.IN_FUTURE),
        (replace(DONE, created_at=LATER), "aa", True, Problem.IN_FUTURE),
        (replace(DONE, finished_at=LATER), "aa", True, Problem.IN_FUTURE),
        (replace(DONE, finished_at=NOW + timedelta(minutes=4)), "aa", True, None),
    ],
)
def test_the_problem_of_a_record(record, image, quiet, problem):
    assert judge(record, image, quiet, NOW, SETTINGS) == problem
