"""The event streams."""

import asyncio
import json
import threading

import httpx

from helpers import http
from helpers.gallery import SMALL, create
from helpers.processes import terminate
from helpers.system import System
from helpers.waiting import TIMEOUT, wait_until


def events(url, got, wanted, last_id=None):
    """Listen until `wanted` of the events `got` is true."""
    headers = {"last-event-id": last_id} if last_id else {}
    with http.stream("GET", f"{url}/v1/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        event = {}
        for line in stream.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif event:
                got.append(event)
                event = {}
            if wanted(got):
                return


def test_events_of_recorded_and_finished_fractals(running, api):
    got = []
    stop = threading.Event()

    def done():
        fractals = [json.loads(event["data"]) for event in got if event["event"] == "fractal"]
        return {fractal["uuid"] for fractal in fractals if fractal["status"] == "done"}

    listener = threading.Thread(target=events, args=(running.url, got, lambda _: stop.is_set()))
    listener.start()
    wait_until(lambda: got, "the first event")
    assert got[0]["event"] == "statistics"
    for _ in range(2):
        uuids = {fractal["uuid"] for fractal in create(api, count=5)}
        wait_until(lambda uuids=uuids: uuids <= done(), "all of them done")
    stop.set()
    create(api)
    listener.join(TIMEOUT)
    assert not listener.is_alive()
    numbers = [event["id"] for event in got if "id" in event]
    assert len(numbers) > 1
    again = []
    events(running.url, again, lambda got: any(e.get("id") == numbers[-1] for e in got), numbers[0])
    assert next(event["id"] for event in again if "id" in event) > numbers[0]


def test_200_event_streams_and_50_requests_a_second(running):
    """200 streams hear of every picture, 50 requests a second are answered, and all images are made."""
    host, port = running.url.removeprefix("http://").split(":")
    pages = ("/", "/v1/fractals", "/v1/statistics", "/system", "/v1/fractals?status=done&limit=24")

    async def listen(ready, wanted):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = await reader.readuntil(b"event: statistics")
        ready.release()
        while not (wanted and all(f'"uuid":"{uuid}","status":"done"'.encode() in received for uuid in wanted)):
            got = await reader.read(1 << 16)
            assert got, "the stream ended"
            received += got
        writer.close()

    async def look(client, path):
        answer = await client.get(f"{running.url}{path}")
        assert answer.status_code == 200, answer.text

    async def all_of_them():
        ready, wanted = asyncio.Semaphore(0), []
        limits = httpx.Limits(max_connections=50)
        client = http.AsyncClient(timeout=TIMEOUT, limits=limits)
        async with asyncio.timeout(150), client, asyncio.TaskGroup() as group:
            listeners = [group.create_task(listen(ready, wanted)) for _ in range(200)]
            for _ in range(200):
                await ready.acquire()
            answer = await client.post(f"{running.url}/v1/fractals", json=SMALL | {"count": 10})
            wanted += [fractal["uuid"] for fractal in answer.json()["fractals"]]
            asked = 0
            while asked < 250 or not all(listener.done() for listener in listeners):
                group.create_task(look(client, pages[asked % len(pages)]))
                asked += 1
                await asyncio.sleep(1 / 50)
        return wanted

    wanted = asyncio.run(all_of_them())
    done = {record["uuid"] for record in running.records() if record["status"] == "done"}
    assert done >= set(wanted)


def test_sigterm_ends_the_event_streams(tmp_path):
    with System(tmp_path) as system:
        url = system.gallery()
        got = []
        listener = threading.Thread(target=events, args=(url, got, lambda _: False))
        listener.start()
        wait_until(lambda: got, "the first event")
        terminate(system.processes[0])
        listener.join(TIMEOUT)
        assert not listener.is_alive()
