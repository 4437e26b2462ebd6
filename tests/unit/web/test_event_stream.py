"""The event stream after a restart: a client goes on after the last event it received."""

import asyncio

import pytest

from oat.web.event_stream import EventStream


@pytest.mark.parametrize("ahead", [-5, 10**6])
def test_a_client_of_an_earlier_process_gets_all_that_was_published_since_whatever_the_clock_was(ahead):
    async def first():
        return b"first"

    async def received():
        stream = EventStream()
        start = stream.new_id()
        for data in (b"a", b"b"):
            stream.publish(stream.new_id(), data)
        events = stream.subscribe(first, start + ahead)
        return [await anext(events), await anext(events)]

    assert asyncio.run(received()) == [b"first", b"ab"]
