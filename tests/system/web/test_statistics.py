"""The numbers of the system: statistics, metrics, unacknowledged tasks."""

from helpers import http
from helpers.gallery import create, finished
from helpers.waiting import wait_until


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


def test_unacknowledged_counts_prefetched_tasks(on_servers):
    url = on_servers.gallery()
    http.post(f"{url}/v1/fractals", json={"count": 4, "width": 16, "height": 16}).raise_for_status()
    wait_until(lambda: http.get(f"{url}/v1/statistics").json()["queued"] == 4, "four tasks in the queue")
    with on_servers.amqp() as connection:
        assert connection.channel().basic_get("tasks", no_ack=False)

        def one_held():
            now = http.get(f"{url}/v1/statistics").json()
            return (now["waiting"], now["queued"], now["unacknowledged"]) == (4, 3, 1)

        wait_until(one_held, "one task unacknowledged")
