"""`oat dead-letters`: list, show, requeue and drop."""

import json
from uuid import uuid4

import amqp
import pytest

from helpers.waiting import wait_until

ODD = b"\x80\x03 pickled \x1b[2J"
UUID = str(uuid4())
BAD_TASKS = [b"no json", ODD, b'{"width": "9"}']
BAD_RESULT = json.dumps({"uuid": UUID}).encode()


def call(system, *arguments):
    done = system.call("oat", "dead-letters", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fails(system, *arguments):
    done = system.call("oat", "dead-letters", *arguments)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def listed(system):
    return json.loads(call(system, "list", "--json"))


@pytest.fixture
def letters(either):
    """Four dead letters: what a worker and a tracker made of messages that are none."""
    either.push("tasks", BAD_TASKS)
    either.push("results", [BAD_RESULT])
    worker, tracker = either.start("oat-worker"), either.start("oat-tracker")
    wait_until(lambda: either.queued("dead-letters") == 4, "four dead letters")
    either.stop(worker, tracker)
    return {letter["size"]: letter for letter in listed(either)}


def body_of(letters, body):
    return letters[len(body)]["id"]


def test_the_list_says_where_each_comes_from_and_takes_none(either, letters):
    assert len(letters) == 4
    for body in BAD_TASKS:
        assert letters[len(body)]["queue"] == "tasks"
        assert letters[len(body)]["reason"].startswith("no valid task: ")
    assert letters[len(BAD_RESULT)]["queue"] == "results"
    assert letters[len(BAD_RESULT)]["uuid"] == UUID
    assert all(letter["time"].endswith("Z") for letter in letters.values())
    again = listed(either)
    assert again == listed(either)
    assert {letter["id"] for letter in again} == {letter["id"] for letter in letters.values()}
    assert either.queued("dead-letters") == 4
    table = call(either, "list")
    assert all(letter["id"] in table for letter in again)


def test_a_body_is_shown_as_text_or_as_hex(either, letters):
    assert "\nno json\n" in call(either, "show", body_of(letters, b"no json"))
    shown = call(either, "show", body_of(letters, ODD))
    assert bytes.fromhex(shown.splitlines()[-1]) == ODD
    assert "\x1b" not in shown
    as_json = json.loads(call(either, "show", body_of(letters, ODD), "--json"))
    assert (as_json["text"], bytes.fromhex(as_json["hex"])) == (None, ODD)


def test_requeued_ones_are_where_they_came_from(either, letters):
    chosen = [body_of(letters, ODD), body_of(letters, BAD_RESULT)]
    said = call(either, "requeue", *chosen)
    assert sorted(said.splitlines()) == sorted(
        [f"requeued {chosen[0]} to tasks", f"requeued {chosen[1]} to results"]
    )
    sizes = {name: either.queued(name) for name in ("tasks", "results", "dead-letters")}
    assert sizes == {"tasks": 1, "results": 1, "dead-letters": 2}
    call(either, "requeue", "--all")
    assert either.queued("dead-letters") == 0
    worker, tracker = either.start("oat-worker"), either.start("oat-tracker")  # they are as they were
    wait_until(lambda: either.queued("dead-letters") == 4, "the same dead letters")
    either.stop(worker, tracker)
    assert sorted(either.dead_letters()) == sorted([*BAD_TASKS, BAD_RESULT])


def test_one_some_and_all_are_dropped(either, letters):
    chosen = body_of(letters, ODD)
    assert call(either, "drop", chosen) == f"dropped {chosen}\n"
    assert fails(either, "drop", chosen) == (1, f"oat: there is no dead letter {chosen}")
    assert either.queued("dead-letters") == 3
    assert len(call(either, "drop", "--all").splitlines()) == 3
    assert listed(either) == []
    assert either.queued("tasks") == 0


def test_what_does_not_say_where_it_comes_from_needs_a_queue(either):
    either.push("dead-letters", [b"whence"])
    [letter] = listed(either)
    assert (letter["queue"], letter["reason"], letter["time"]) == (None, "unknown", None)
    assert "say --to tasks or --to results" in fails(either, "requeue", "--all")[1]
    assert either.queued("dead-letters") == 1
    call(either, "requeue", letter["id"], "--to", "results")
    assert (either.queued("dead-letters"), either.queued("results")) == (0, 1)


def test_what_rabbitmq_itself_dead_lettered_says_where_it_comes_from(on_servers):
    assert listed(on_servers) == []
    with on_servers.amqp() as connection:
        connection.channel().basic_publish(amqp.Message("late", expiration="1"), "tasks", "tasks")
    wait_until(lambda: on_servers.queued("dead-letters") == 1, "its end")
    [letter] = listed(on_servers)
    assert (letter["queue"], letter["reason"]) == ("tasks", "dead-lettered by RabbitMQ: expired")
    assert letter["time"]
    assert listed(on_servers) == [letter]
    call(on_servers, "requeue", letter["id"])
    assert (on_servers.queued("dead-letters"), on_servers.queued("tasks")) == (0, 1)


def killed_in_the_middle(system, *arguments):
    """Run a command, and kill it once it has begun; the embedded broker has no unacknowledged messages to see."""
    before = system.queued("dead-letters")
    process = system.start("oat", "dead-letters", *arguments)
    wait_until(lambda: system.queued("dead-letters") != before or process.poll() is not None, "a start")
    system.kill(process)


def bodies(number):
    return [b"%d" % n for n in range(number)]


def stay(system):
    """Wait until what a killed process had unacknowledged is back, and return how many dead letters there are."""
    seen = [-1, -2, -3]
    wait_until(lambda: seen.append(system.queued("dead-letters")) or len({*seen[-3:]}) == 1, "no change")
    return seen[-1]


def test_a_listing_that_is_killed_in_the_middle_loses_nothing(either):
    either.push("dead-letters", bodies(600))
    for _ in range(3):
        killed_in_the_middle(either, "list")
    wait_until(lambda: stay(either) >= 600, "all dead letters")
    assert sorted(either.dead_letters()) == sorted(bodies(600))


def test_requeueing_that_is_killed_in_the_middle_loses_nothing(either):
    either.push("dead-letters", bodies(600))
    for _ in range(3):
        killed_in_the_middle(either, "requeue", "--all", "--to", "tasks")
    wait_until(lambda: stay(either) + either.queued("tasks") >= 600, "all of them, here or there")
    call(either, "requeue", "--all", "--to", "tasks")
    found = either.take("tasks")
    assert set(found) == set(bodies(600))
    assert len(found) <= 600 + (0 if either.broker_url else 3)  # of the folder, one file for each kill


def test_dropping_that_is_killed_in_the_middle_loses_nothing_else(either):
    either.push("dead-letters", bodies(600))
    letters = [letter["id"] for letter in listed(either)]
    chosen = letters[::2][:200]
    kept = set(bodies(600)) - {b"%d" % n for n in range(0, 400, 2)}
    for _ in range(3):
        killed_in_the_middle(either, "drop", *chosen)
    wait_until(
        lambda: {letter["id"] for letter in listed(either)} >= {*letters} - {*chosen}, "those that are kept"
    )
    either.call("oat", "dead-letters", "drop", *chosen)
    assert {*either.dead_letters()} == kept  # some twice, where the folder had a file of theirs twice


def test_commands_name_their_letters_and_their_broker(either):
    assert fails(either, "drop")[0] == 2
    assert fails(either, "requeue", "--all", "x")[0] == 2
    status, line = fails(either, "list", "--broker-url", "amqp://guest:secret@127.0.0.1:9//")
    assert (status, line) == (1, "oat: the broker amqp://guest:***@127.0.0.1:9// cannot be reached")
