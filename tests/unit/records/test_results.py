"""How a result changes a record."""

from uuid import uuid4

from oat.messages import Result
from oat.records.states import Status, state_change

DONE = {"duration": 0.5, "checksum": "0" * 64, "size": 9, "worker": "w"}


def test_an_image_is_always_recorded_and_a_failure_only_without_one():
    image, failure = Result(uuid=uuid4(), **DONE), Result(uuid=uuid4(), error="disk full")
    for status in Status:
        assert (state_change(status, image) or {}).get("status") == Status.DONE
    assert state_change(Status.WAITING, failure)["error"] == "disk full"
    assert state_change(Status.DONE, failure) is None
    assert state_change(Status.FAILED, failure) is None
    assert state_change(Status.CANCELLED, failure) is None
