"""A stack that cannot be made says why, in one line, and can be deleted."""

from __future__ import annotations

from uuid import uuid4

import pytest
from helpers import TEMPLATES, Stack
from openstack.connection import Connection
from openstack.exceptions import SDKException


def test_it_says_in_one_line_what_failed(user: Connection) -> None:
    stack = Stack(user, f"oat-{uuid4().hex[:6]}")
    try:
        with pytest.raises(SDKException):
            stack.create(TEMPLATES / "all-in-one.yaml", source="http://172.24.4.1:9/oat-1.0-py3-none-any.whl")
        reason = stack.get().status_reason
        assert "the application cannot be installed from http://172.24.4.1:9/oat-1.0-py3-none-any.whl" in reason
        assert "\n" not in reason
    finally:
        stack.delete()
    assert stack.get() is None
