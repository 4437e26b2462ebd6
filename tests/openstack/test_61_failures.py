"""A stack that cannot be made says why, in one line, and can be deleted."""

from __future__ import annotations

from uuid import uuid4

import pytest
from openstack.connection import Connection

from helpers import TEMPLATES, Stack, StackError


def test_it_says_in_one_line_what_failed(user: Connection) -> None:
    stack = Stack(user, f"oat-{uuid4().hex[:6]}")
    wheel = "http://172.24.4.1:9/oat-1.0-py3-none-any.whl"  # nobody listens there
    try:
        with pytest.raises(StackError, match=f"the application cannot be installed from {wheel}") as failure:
            stack.create(TEMPLATES / "all-in-one.yaml", source=wheel)
        assert "\n" not in str(failure.value)
    finally:
        stack.delete()
    assert stack.get() is None
