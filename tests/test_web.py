"""The API and the pages over HTTP, as `oat web` serves them."""

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import random
import re
import socket
import threading

import httpx
import pytest
import uvicorn
from PIL import Image

from oat.constant import FALLBACK
from oat.services import FractalRequest
from oat.settings import Limits
from oat.web.protocol import Protocol
from servers import free_port, wait_until
from system import System, terminate

TOKEN = "a token of 24 characters"
SMALL = {"width": 24, "height": 16, "iterations": 64}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The embedded system with worker, tracker and gallery."""
    with System(tmp_path_factory.mktemp("web"), OAT_WRITE_RATE="100000/minute") as system:
        system.start("oat-worker")
        system.start("oat-tracker")
        system.url = system.gallery()
        yield system


@pytest.fixture
def api(running):
    with httpx.Client(base_url=running.url) as client:
        yield client


def create(api, **parameters):
    answer = api.post("/v1/fractals", json=SMALL | parameters)
    assert answer.status_code == 201, answer.text
    return answer.json()["fractals"]


def finished(api, uuid):
    def look():
        fractal = api.get(f"/v1/fractals/{uuid}").json()
        return fractal["status"] != "waiting" and fractal

    return wait_until(look, f"{uuid} finished")


def refuse(system, uuid):
    """Have the record of `uuid` say that it failed."""
    with system.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE fractals SET status = 'failed', error = 'no luck', finished_at = created_at "
            f"WHERE uuid = '{uuid}'"
        )


def problem(answer, status, *fields):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["title"]
    assert told["detail"]
    assert {error["field"] for error in told.get("errors", [])} == set(fields)
    return told["detail"]


def test_what_is_created_is_rendered_and_can_be_had(running, api):
    answer = api.post("/v1/fractals", json=SMALL | {"cx": -0.8, "cy": 0.156})
    [fractal] = answer.json()["fractals"]
    assert answer.headers["location"] == f"/v1/fractals/{fractal['uuid']}"
    assert fractal["status"] == "waiting"
    assert (fractal["width"], fractal["cx"]) == (24, -0.8)
    done = finished(api, fractal["uuid"])
    assert done["status"] == "done"
    image = api.get(f"/v1/fractals/{fractal['uuid']}/image")
    assert image.headers["content-type"] == "image/png"
    assert "immutable" in image.headers["cache-control"]
    assert hashlib.sha256(image.content).hexdigest() == done["checksum"]
    assert len(image.content) == done["size"]


def test_every_parameter_may_be_left_open(api):
    assert len(api.post("/v1/fractals").json()["fractals"]) == 1
    several = create(api, count=5)
    assert len({fractal["uuid"] for fractal in several}) == 5
    assert len({fractal["cx"] for fractal in several}) == 5
    [fractal] = create(api, xb=-3.5, ya=7)
    assert fractal["xa"] < fractal["xb"] == -3.5
    assert fractal["yb"] > fractal["ya"] == 7


def test_a_thumbnail_is_small_and_made_once(running, api):
    [fractal] = create(api, width=900, height=450)
    finished(api, fractal["uuid"])
    path = f"/v1/fractals/{fractal['uuid']}/thumbnail"
    first = api.get(path)
    assert first.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(first.content)) as image:
        assert image.size == (320, 160)
    file = running.folder / "data" / "oat" / "thumbnails" / f"{fractal['uuid']}.webp"
    made = file.stat().st_mtime_ns
    assert api.get(path).content == first.content
    assert file.stat().st_mtime_ns == made


def test_pages_of_the_list(api):
    uuids = {fractal["uuid"] for fractal in create(api, count=7)}
    seen, older = [], {}
    while True:
        page = api.get("/v1/fractals", params={"limit": 3} | older).json()
        seen += [fractal["uuid"] for fractal in page["fractals"]]
        if not page["older"]:
            break
        older = {"older": page["older"]}
    assert uuids <= set(seen)
    assert len(seen) == len(set(seen))
    states = api.get("/v1/fractals", params={"status": "failed"}).json()["fractals"]
    assert all(fractal["status"] == "failed" for fractal in states)


def test_delete_and_retry(running, api):
    [first] = create(api)
    uuid = first["uuid"]
    finished(api, uuid)
    problem(api.post(f"/v1/fractals/{uuid}/retry"), 409)
    refuse(running, uuid)
    assert api.post(f"/v1/fractals/{uuid}/retry").json()["status"] == "waiting"
    assert finished(api, uuid)["status"] == "done"
    api.get(f"/v1/fractals/{uuid}/thumbnail")
    assert api.delete(f"/v1/fractals/{uuid}").status_code == 204
    problem(api.delete(f"/v1/fractals/{uuid}"), 404)
    for path in ("", "/image", "/thumbnail"):
        problem(api.get(f"/v1/fractals/{uuid}{path}"), 404)
    assert not list((running.folder / "data" / "oat").rglob(f"{uuid}*"))


def test_what_is_still_waiting_has_no_image_and_cannot_be_deleted(tmp_path):
    with System(tmp_path) as system, httpx.Client(base_url=system.gallery()) as api:
        [fractal] = create(api)
        assert "waiting" in problem(api.get(f"/v1/fractals/{fractal['uuid']}/image"), 404)
        assert "waiting" in problem(api.delete(f"/v1/fractals/{fractal['uuid']}"), 409)


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({"width": 1}, ["width"]),
        ({"width": "24"}, ["width"]),
        ({"width": 10**30}, ["width"]),
        ({"width": 40_000}, ["width"]),
        ({"width": 30_000, "height": 30_000}, ["width", "height"]),
        ({"iterations": 0}, ["iterations"]),
        ({"iterations": True}, ["iterations"]),
        ({"count": 1001}, ["count"]),
        ({"xa": 1, "xb": 1}, ["body"]),
        ({"cx": 0.5}, ["body"]),
        ({"colour": "red"}, ["colour"]),
        ([], ["body"]),
        ("x", ["body"]),
    ],
)
def test_a_wrong_wish_is_a_problem_that_names_the_field(api, parameters, fields):
    problem(api.post("/v1/fractals", json=parameters), 422, *fields)


@pytest.mark.parametrize(
    "body", [b"{", b'{"cx": 1e999, "cy": 1}', b'{"cx": NaN, "cy": 0}', b"\xff\xfe", b"[" * 50_000]
)
def test_what_is_not_json_is_a_problem(api, body):
    answer = api.post("/v1/fractals", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "name",
    ["x", "0", "..%2f..%2fetc%2fpasswd", "....//etc/passwd", "%00", "a" * 5000, "'; DROP TABLE fractals; --",
     "00000000-0000-0000-0000-00000000000g", "../v1/statistics/../../etc", "%2e%2e%2f%2e%2e"],
)  # fmt: skip
def test_a_hostile_name_is_a_clean_refusal(api, name):
    for path in ("/v1/fractals/{}", "/v1/fractals/{}/image", "/v1/fractals/{}/thumbnail", "/fractals/{}",
                 "/static/{}", "/static/swagger/{}"):  # fmt: skip
        answer = api.get(path.format(name))
        assert answer.status_code in (404, 405, 422), path
        assert "root:" not in answer.text


def raw(url, request):
    """Send bytes that no client library would, and return the first line of the answer."""
    host, port = re.match(r"http://(.*):(\d+)", url).groups()
    with socket.create_connection((host, int(port)), 10) as sock:
        with contextlib.suppress(ConnectionError):  # it may have heard enough
            sock.sendall(request)
        try:
            return sock.makefile("rb").read(65536) or b"it hung up"
        except ConnectionError:
            return b"it hung up"


@pytest.mark.parametrize(
    "path",
    ["/../../../../etc/passwd", "/static/../../settings.py", "//etc/passwd", "/static//etc/passwd", "/%2e%2e/"],
)
def test_no_path_leaves_the_folders(running, path):
    answer = raw(running.url, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"root:" not in answer
    assert b"SettingsError" not in answer


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "status=lost",
        "older=x",
        "newer=1_2",
        "older=" + "9" * 20 + "_" + "bc951403-8ad4-4833-ba76-8bac29941c5c",
    ],
)
def test_a_wrong_query_is_a_problem_that_names_the_field(api, query):
    problem(api.get(f"/v1/fractals?{query}"), 422, query.partition("=")[0])


def test_a_wrong_state_is_a_page_that_says_so(api):
    page = api.get("/?status=DONE", headers={"accept": "text/html"})
    assert page.status_code == 422
    assert '<p class="notice">status: Input should be' in page.text


def test_a_long_request_is_refused_however_it_comes(running, api):
    long = b'{"width":' + b" " * 70_000 + b"24}"
    headers = {"content-type": "application/json"}
    problem(api.post("/v1/fractals", content=long, headers=headers), 413)
    problem(api.post("/v1/fractals", content=iter([long[:50_000], long[50_000:]]), headers=headers), 413)


@pytest.mark.parametrize(
    "parameters",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 700_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: x\r\n" * 70_000 + b"\r\n",
        b"GET /?" + b"x" * 700_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/fractals HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1;" + b"x" * 700_000 + b"\r\n{\r\n",
        b"POST /v1/fractals HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"X-Trailer: x\r\n" * 70_000 + b"\r\n",
    ],
    ids=["header", "headers", "query", "extension", "trailers"],
)  # fmt: skip
def test_a_request_without_end_is_cut_off(running, api, parameters):
    answer = raw(running.url, parameters)
    assert re.match(rb"HTTP/1.1 4|it hung up", answer), answer[:300]
    assert api.get("/healthz").status_code == 200


def test_who_does_not_come_to_an_end_is_hung_up_on(monkeypatch):
    """Half a head, half a body; but an answer may take for ever."""
    monkeypatch.setattr("oat.web.protocol.REQUEST_TIMEOUT", 0.3)
    answering = threading.Event()

    async def application(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        answering.set()
        await asyncio.sleep(3600)

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, http=Protocol, lifespan="off", timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
    with contextlib.ExitStack() as stack:
        whole, *parts = [
            stack.enter_context(socket.create_connection(listening.getsockname(), 30)) for _ in range(4)
        ]
        whole.sendall(head + b"12345")
        assert answering.wait(30)
        for part, begun in zip(parts, (b"", head[:20], head + b"1234"), strict=True):
            part.sendall(begun)
        assert [part.recv(100) for part in parts] == [b""] * 3
        whole.setblocking(False)
        with pytest.raises(BlockingIOError):  # neither an answer nor an end
            whole.recv(100)
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


def test_unknown_paths_and_methods(api):
    problem(api.get("/v1/nothing"), 404)
    refused = api.put("/v1/fractals")
    problem(refused, 405)
    assert refused.headers["allow"] == "GET, POST"
    page = api.get("/nothing", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")


def test_every_answer_has_the_security_headers(api):
    for path in ("/", "/create", "/system", "/v1/statistics", "/nothing", "/static/app.js", "/docs"):
        headers = api.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert re.search(r"script-src 'self';", policy)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers
    assert api.head("/").status_code == 200


def test_static_files_are_sent_once(api):
    first = api.get("/static/app.js")
    again = api.get("/static/app.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-cache"


def test_pages_have_no_inline_scripts_or_styles(api):
    for path in ("/", "/create", "/system", "/docs"):
        page = api.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|https?://", page), path


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://elsewhere.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}],
)
def test_another_site_cannot_have_a_browser_change_anything(api, headers):
    problem(api.post("/v1/fractals", json=SMALL, headers=headers), 403)
    assert api.post("/create", data={"count": "1"}, headers=headers).status_code == 403


def test_a_foreign_name_for_this_machine_is_refused(api):
    problem(api.get("/v1/statistics", headers={"host": "elsewhere.example"}), 421)


def test_statistics_add_up(running, api):
    fractals = create(api, count=20)
    for fractal in fractals:
        finished(api, fractal["uuid"])
    counted = len(running.records())

    def settled():
        now = api.get("/v1/statistics").json()
        underway = now["waiting"] or now["unpublished"] or now["queued"] or now["unacknowledged"]
        return now if now["done"] == counted - now["failed"] and not underway else None

    now = wait_until(settled, "the statistics")
    assert now["done_per_minute"] >= 20
    assert 0 < now["p50"] <= now["p95"]
    assert len(now["workers"]) == 1
    metrics = api.get("/metrics").text
    assert f'oat_fractals{{status="done"}} {float(now["done"])}' in metrics
    assert 'oat_messages{queue="tasks"} 0.0' in metrics


def events(url, got, wanted, last_id=None):
    """Listen until `wanted` of the events `got` is true."""
    headers = {"last-event-id": last_id} if last_id else {}
    with httpx.stream("GET", f"{url}/v1/events", headers=headers, timeout=30) as stream:
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


def test_events_tell_what_is_recorded_and_what_is_done(running, api):
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
    listener.join(30)
    assert not listener.is_alive()
    numbers = [event["id"] for event in got if "id" in event]
    assert len(numbers) > 1
    again = []
    events(running.url, again, lambda got: any(e.get("id") == numbers[-1] for e in got), numbers[0])
    assert next(event["id"] for event in again if "id" in event) > numbers[0]


def test_a_crowd_watches_and_the_pipeline_goes_on(running):
    """200 streams hear of every picture, 50 requests a second are answered, and all images are made."""
    host, port = running.url.removeprefix("http://").split(":")
    pages = ("/", "/v1/fractals", "/v1/statistics", "/system", "/v1/fractals?status=done&limit=24")

    async def listen(ready, wanted):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        heard = await reader.readuntil(b"event: statistics")
        ready.release()
        while not (wanted and all(f'"uuid":"{uuid}","status":"done"'.encode() in heard for uuid in wanted)):
            got = await reader.read(1 << 16)
            assert got, "the stream ended"
            heard += got
        writer.close()

    async def look(client, path):
        answer = await client.get(f"{running.url}{path}")
        assert answer.status_code == 200, answer.text

    async def all_of_them():
        ready, wanted = asyncio.Semaphore(0), []
        limits = httpx.Limits(max_connections=50)
        client = httpx.AsyncClient(timeout=60, limits=limits)
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


def test_a_stop_ends_the_streams(tmp_path):
    with System(tmp_path) as system:
        url = system.gallery()
        got = []
        listener = threading.Thread(target=events, args=(url, got, lambda _: False))
        listener.start()
        wait_until(lambda: got, "the first event")
        terminate(system.processes[0])
        listener.join(30)
        assert not listener.is_alive()


def test_the_form_without_scripts(running, api):
    answer = api.post("/create", data=SMALL | {"cx": "-0.8", "cy": "0.156", "count": "", "xa": " "})
    assert answer.status_code == 303
    page = api.get(answer.headers["location"]).text
    assert "−0.8000 + 0.1560i" in page
    again = api.post("/create", data={"width": "1", "cx": "a<b"})
    assert again.status_code == 422
    assert 'aria-invalid="true"' in again.text
    assert "a&lt;b" in again.text
    assert api.post("/create", data={"count": "3"}).headers["location"] == "/?status=all"


def test_delete_and_retry_without_scripts(running, api):
    [fractal] = create(api)
    finished(api, fractal["uuid"])
    refuse(running, fractal["uuid"])
    path = f"/fractals/{fractal['uuid']}"
    assert "no luck" in api.get(path).text
    assert api.post(f"{path}/retry").headers["location"] == path
    assert finished(api, fractal["uuid"])["status"] == "done"
    assert api.post(f"{path}/delete").status_code == 303
    assert api.get(path).status_code == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_address_open_to_others_needs_a_token(tmp_path, host):
    with System(tmp_path) as system:
        done = system.call("oat", "web", "--host", host, "--port", free_port())
    assert done.returncode == 2
    assert "OAT_API_TOKEN" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("public", [False, True])
def test_the_token(tmp_path, public):
    settings = {"OAT_API_TOKEN": TOKEN} | ({"OAT_PUBLIC_READING": "true"} if public else {})
    with System(tmp_path, **settings) as system:
        url = system.gallery("--host", "0.0.0.0").replace("0.0.0.0", "127.0.0.1")
        good = {"authorization": f"Bearer {TOKEN}"}
        browser = {"authorization": "Basic " + base64.b64encode(f"me:{TOKEN}".encode()).decode()}
        bad = [{}, {"authorization": "Bearer x"}, {"authorization": f"Basic {TOKEN}"}, {"authorization": TOKEN}]
        for headers in (good, browser):
            assert httpx.get(f"{url}/", headers=headers).status_code == 200
            assert httpx.post(f"{url}/v1/fractals", json=SMALL, headers=headers).status_code == 201
        for headers in bad:
            answer = httpx.post(f"{url}/v1/fractals", json=SMALL, headers=headers)
            problem(answer, 401)
            assert "Basic" in answer.headers["www-authenticate"]
            for path in ("/", "/v1/fractals", "/metrics", "/v1/openapi.json"):
                assert httpx.get(url + path, headers=headers).status_code == (200 if public else 401)
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert TOKEN not in system.processes[0].log.read_text()


def test_too_many_requests_are_told_when_to_come_back(tmp_path):
    with System(tmp_path, OAT_READ_RATE="30/minute", OAT_WRITE_RATE="2/minute") as system:
        url = system.gallery()
        answers = [httpx.post(f"{url}/v1/fractals", json=SMALL) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        problem(answers[-1], 429)
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        reads = [httpx.get(f"{url}/v1/statistics").status_code for _ in range(31)]
        assert reads[0] == 200
        assert reads[-1] == 429


def test_without_a_broker_tasks_are_recorded_and_sent_later(rabbitmq, tmp_path):
    from servers import RabbitMQ  # noqa: PLC0415 (only here)

    port = free_port()
    folder = tmp_path / "broker"
    folder.mkdir()
    with System(tmp_path, f"amqp://guest:guest@127.0.0.1:{port}//") as system:
        process = system.start("oat", "web", "--port", 0)
        url = wait_until(
            lambda: (found := re.search(r"is at (http://\S+)/", process.log.read_text())) and found[1],
            "the gallery",
        )
        problem(httpx.get(f"{url}/readyz"), 503)
        assert httpx.get(f"{url}/healthz").status_code == 200
        answer = wait_until(
            lambda: (a := httpx.post(f"{url}/v1/fractals", json=SMALL | {"count": 3})).is_success and a,
            "the tables",
        )
        assert len(answer.json()["fractals"]) == 3
        now = httpx.get(f"{url}/v1/statistics").json()
        assert (now["unpublished"], now["queued"]) == (3, None)
        assert "broker" in now["warnings"][0]
        server = RabbitMQ(folder, port)
        try:
            server.start()
            wait_until(lambda: httpx.get(f"{url}/readyz").is_success, "the broker", 60)
            system.start("oat-worker")
            system.start("oat-tracker")
            system.wait_for(3)
            terminate(process)
            system.audit(3)
        finally:
            server.stop()


def test_unacknowledged_is_what_a_worker_holds(on_servers):
    url = on_servers.gallery()
    httpx.post(f"{url}/v1/fractals", json={"count": 4, "width": 16, "height": 16}).raise_for_status()
    wait_until(lambda: httpx.get(f"{url}/v1/statistics").json()["queued"] == 4, "four tasks in the queue")
    from test_pipeline import amqp_connection  # noqa: PLC0415 (only here)

    with amqp_connection(on_servers) as connection:
        assert connection.channel().basic_get("tasks", no_ack=False)

        def one_held():
            now = httpx.get(f"{url}/v1/statistics").json()
            return (now["waiting"], now["queued"], now["unacknowledged"]) == (4, 3, 1)

        wait_until(one_held, "one task unacknowledged")


def test_a_database_that_is_away_is_a_problem_soon(tmp_path):
    url = f"mysql+pymysql://tutorial:secretsecret@127.0.0.1:{free_port()}/tutorial"
    with System(tmp_path, None, url) as system:
        process = system.start("oat", "web", "--port", 0)
        url = wait_until(
            lambda: (found := re.search(r"is at (http://\S+)/", process.log.read_text())) and found[1],
            "the gallery",
        )
        answer = httpx.get(f"{url}/v1/fractals", timeout=60)
        assert "secretsecret" not in problem(answer, 503)
        assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["web", "--port", "70000"], 2, "--port"),
        (["web", "--host", "no such host"], 2, "OAT_API_TOKEN"),
        (["run", "--port", "-1"], 2, "--port"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path, arguments, status, complaint):
    with System(tmp_path) as system:
        done = system.call("oat", *arguments)
    assert done.returncode == status
    assert complaint in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_one_clear_line(running, tmp_path):
    port = running.url.rpartition(":")[2]
    with System(tmp_path) as system:
        done = system.call("oat", "web", "--port", port)
    assert done.returncode == 1
    assert port in done.stderr.splitlines()[-1]


def test_oat_run_shows_its_gallery_until_it_is_interrupted(tmp_path):
    with System(tmp_path) as system:
        process = system.start("oat", "run", "--tasks", 3, "--port", 0)
        url = wait_until(
            lambda: (found := re.search(r"gallery\s+(http://\S+)/", process.log.read_text())) and found[1],
            "the gallery",
        )
        wait_until(lambda: httpx.get(f"{url}/v1/statistics").json()["done"] == 3, "three images")
        wait_until(lambda: "until Ctrl-C" in process.log.read_text(), "the end of the run")
        assert httpx.get(f"{url}/").status_code == 200
        terminate(process)


def test_the_services_show_metrics_on_a_port_of_their_own(tmp_path):
    ports = {name: free_port() for name in ("oat-worker", "oat-tracker")}
    with System(tmp_path) as system:
        for name, port in ports.items():
            system.start(name, "--metrics-port", port)
        system.produce(3)
        system.wait_for(3)
        metrics = {name: httpx.get(f"http://127.0.0.1:{port}/metrics").text for name, port in ports.items()}
        assert "oat_render_seconds_count 3.0" in metrics["oat-worker"]
        assert 'oat_results_tracked_total{status="done"} 3.0' in metrics["oat-tracker"]
        done = system.call("oat-worker", "--metrics-port", ports["oat-tracker"])
        assert done.returncode == 2
        assert str(ports["oat-tracker"]) in done.stderr.splitlines()[-1]


def test_a_hostile_viewport_is_searched_once(monkeypatch):
    """No c is interesting in there; a thousand tasks must not cost a thousand searches."""
    searches = []
    monkeypatch.setattr("oat.services.producer.draw_constant", lambda *where: searches.append(where) or FALLBACK)
    assert (
        len(FractalRequest(count=1000, xa=-0.01, xb=0.01, ya=-0.01, yb=0.01).tasks(Limits(), random.Random(1)))
        == 1000
    )
    assert len(searches) == 1
