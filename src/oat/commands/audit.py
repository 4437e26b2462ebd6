"""`oat audit`: whether records, images and queues add up."""

from collections import deque
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from oat.commands.client import Api, Client, ClientError, client_options
from oat.commands.output import Output, printable
from oat.commands.serving import what_is_asked
from oat.messaging import DEAD_LETTERS, RESULTS, TASKS
from oat.records import Status
from oat.services import ADVICE, Report, Step, run_audit


def audit(*, client: Annotated[Client, client_options("broker_url", "database_url", "target")]) -> None:
    """Compare records, images and queues; exit with 1 if anything does not add up."""
    columns = TextColumn("Comparing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Output(stderr=True), transient=True) as bar:
        records = bar.add_task("records", total=None)
        steps: deque[Step] = deque(maxlen=1)

        def follow(step: Step) -> None:
            bar.update(records, total=step.records, completed=step.compared)
            steps.append(step)

        async def work(api: Api) -> None:
            async for line in api.lines("POST", "/v1/audit"):
                follow(Step.model_validate_json(line))

        if client.api:
            client.run(work)
        else:  # the same, with its progress: an API in this process would respond only at the end
            for step in run_audit(client.settings):
                follow(step)
    report = steps[0].report if steps else None
    if report is None:
        raise ClientError(
            f"the API at {client.api.name if client.api else 'this process'} broke off its audit; its log says why"
        )
    if client.as_json:
        print(report.model_dump_json())
    else:
        _print_report(report, what_is_asked(client.api, client.settings))
    if report.problems:
        raise typer.Exit(1)


def _print_report(report: Report, addresses: list[tuple[str, str]]) -> None:
    states = ", ".join(f"{report.records.get(status, 0)} {status}" for status in Status)
    queues = report.queues
    for name, value in (
        *addresses,
        ("records", f"{sum(report.records.values())}: {states}"),
        ("stored", f"{report.images} image(s)"),
        ("unpublished", f"{report.unpublished} task(s)"),
        ("queued", f"{queues[TASKS]} task(s), {queues[RESULTS]} result(s), {queues[DEAD_LETTERS]} dead letter(s)"),
    ):
        print(f"{name:12}{printable(value)}")
    for problem, count in report.problems.items():
        print(f"\n{count} × {ADVICE[problem]}", *map(printable, report.cases[problem]), sep="\n  ")
    print("\nThis does not add up." if report.problems else "\nEverything adds up.")
