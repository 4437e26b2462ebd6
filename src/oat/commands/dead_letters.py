"""`oat dead-letters list`, `show`, `requeue` and `drop`: on the broker itself, not over the API."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from oat.commands.client import BROKER_TIMEOUT, ClientError
from oat.commands.options import settings_options
from oat.commands.output import print_pairs, print_rows, printable
from oat.messaging import RESULTS, TASKS, Broker, BrokerError
from oat.process import format_time
from oat.services import DeadLetter, drop_dead_letters, list_dead_letters, requeue_dead_letters
from oat.settings import Settings

T = TypeVar("T")


class Target(StrEnum):
    """The queues that a dead letter may go back to."""

    TASKS = TASKS
    RESULTS = RESULTS


OneId = Annotated[str, typer.Argument(metavar="ID", help="As the list has it.", show_default=False)]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="The IDs, as the list has them.", show_default=False)
]
All = Annotated[bool, typer.Option("--all", help="All dead letters, instead of some.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
BrokerSettings = Annotated[Settings, settings_options("broker_url")]


def list_(*, as_json: AsJson = False, settings: BrokerSettings) -> None:
    """List the dead letters, and why each could not be processed; they stay where they are. Times are in UTC."""
    letters = _on_broker(settings, list_dead_letters)
    if as_json:
        print(json.dumps([letter.model_dump(mode="json") for letter in letters]))
        return
    print_rows(
        ("id", "queue", "dead since", "bytes", "uuid", "reason"),
        (
            (
                each.id,
                each.queue or "–",
                format_time(each.time) if each.time else "–",
                each.size,
                each.uuid or "–",
                each.reason,
            )
            for each in letters
        ),
    )


def show(*, letter: OneId, as_json: AsJson = False, settings: BrokerSettings) -> None:
    """Show one dead letter with its whole body, as text, or in hexadecimal digits if it is none."""
    found = [each for each in _on_broker(settings, list_dead_letters) if each.id == letter]
    _check_found([letter], found)
    fields, text = found[0].model_dump(mode="json"), _text(found[0].body)
    if as_json:
        print(json.dumps({**fields, "text": text, "hex": None if text is not None else found[0].body.hex()}))
        return
    print_pairs([(name, "–" if value is None else value) for name, value in fields.items()])
    print("", found[0].body.hex(" ", 2) if text is None else text, sep="\n")


def requeue(
    *,
    ids: Ids = None,
    all_: All = False,
    to: Annotated[
        Target | None,
        typer.Option(help="The queue, for those that do not say where they come from.", show_default=False),
    ] = None,
    settings: BrokerSettings,
) -> None:
    """Publish the bodies of dead letters again, each to the queue it comes from."""
    chosen = _chosen(ids, all_)
    requeued, unknown = _on_broker(settings, lambda broker: requeue_dead_letters(broker, chosen, to))
    for letter in requeued:
        print(f"requeued {letter.id} to {letter.queue or to}")
    if unknown:
        names = ", ".join(letter.id for letter in unknown)
        raise ClientError(f"it is not known which queue these come from: {names}; say --to tasks or --to results")
    _check_found(chosen, requeued)


def drop(*, ids: Ids = None, all_: All = False, settings: BrokerSettings) -> None:
    """Remove dead letters for good."""
    chosen = _chosen(ids, all_)
    dropped = _on_broker(settings, lambda broker: drop_dead_letters(broker, chosen))
    for letter in dropped:
        print(f"dropped {letter.id}")
    _check_found(chosen, dropped)


def _on_broker(settings: Settings, work: Callable[[Broker], T]) -> T:
    """Return what `work` returns on a connection to the broker.

    Raises:
        BrokerError: the broker refuses, or cannot be reached in `BROKER_TIMEOUT`.
    """
    logging.getLogger().setLevel(logging.WARNING)
    broker = Broker(settings, threading.Event())
    timer = threading.Timer(BROKER_TIMEOUT, broker.stopping.set)
    results: list[T] = []

    def session() -> None:
        timer.cancel()
        results.append(work(broker))

    timer.start()
    try:
        broker.serve(session)
    finally:
        timer.cancel()
    if not results:
        raise BrokerError(f"the broker {broker.address.name} cannot be reached")
    return results[-1]


def _chosen(ids: list[str] | None, all_: bool) -> list[str] | None:
    if bool(ids) == all_:
        raise typer.BadParameter("name the IDs of dead letters, as the list has them, or --all")
    return ids or None


def _check_found(ids: list[str] | None, found: Sequence[DeadLetter]) -> None:
    if missing := set(ids or ()) - {letter.id for letter in found}:
        raise ClientError(f"there is no dead letter {', '.join(sorted(missing))}")


def _text(body: bytes) -> str | None:
    """Return a body as text, None if it is none that a terminal shows as it is."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return text if all(map(_is_harmless, text)) else None


def _is_harmless(sign: str) -> bool:
    """Return whether a terminal shows `sign`, instead of acting upon it."""
    return printable(sign) == sign or sign in "\n\t"
