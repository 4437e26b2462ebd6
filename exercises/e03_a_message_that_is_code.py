"""A message that is code

The application of 2015 sent its messages with pickle, Python's own format: no schema, no trouble,
every object arrives as it was. But to unpickle is to run a program that the sender has written.
Whoever can put a message into the queue, from a forgotten password to a web form two services away,
runs what they like in every worker and every tracker, with the rights of these.

The check sends four messages that would create a file each, two to the worker and two to the
tracker, and looks for the files. Messages that are honest still have to arrive.

Look at: src/oat/messages.py
"""

import pickle
from pathlib import Path

from helpers.mutants import Fault
from lab import Harm, Lab, comes, until

FAULT = Fault.of(
    "messages.py",
    ("import random", "import pickle\nimport random"),
    (
        "return self.model_dump_json(exclude_none=True).encode()",
        "return pickle.dumps(self.model_dump(exclude_none=True), protocol=0)",
    ),
    (
        "return model.model_validate_json(body)",
        "return model.model_validate(pickle.loads(body.encode() if isinstance(body, str) else body))",
    ),
)

HINT = """
A format for messages must be able to say data and nothing else. pydantic writes and reads one:
`model_dump_json`, `model_validate_json`. Unpickling first and checking afterwards is too late.
"""

SOLUTION = """
JSON has numbers, texts, lists and objects, and no word for "call this function". So the worst
message is one that is invalid, and `_parse` says so before anything has happened:
InvalidMessageError, a dead letter with its reason. As a gift, every language can send tasks: see
examples/send_task.py.
"""


class Code:
    """An object that, when it is unpickled, creates a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self._file), "w")


def check(lab: Lab) -> str:
    """Send code to worker and tracker, and see whether it ran."""
    system = lab.system()
    files = {
        queue: [lab.folder / f"{queue}-{protocol}-was-here" for protocol in (0, 5)]
        for queue in ("tasks", "results")
    }
    for queue, names in files.items():
        system.push(queue, [pickle.dumps(Code(file), int(file.name.split("-")[1])) for file in names])
    system.produce(5)  # behind them
    system.start("oat-worker")
    system.start("oat-tracker")
    until(system, lambda: system.counts().get("done") == 5, "five honest tasks that are done")
    came = comes(lambda: system.queued("dead-letters") == 4)
    ran = {queue: sum(file.exists() for file in names) for queue, names in files.items()}
    if any(ran.values()):
        raise Harm(
            f"{sum(ran.values())} of 4 messages ran as code: {ran['tasks']} in the worker, {ran['results']} in "
            "the tracker. Each created a file; it could as well have read your passwords."
        )
    if not came:
        missing = 4 - system.queued("dead-letters")
        raise Harm(f"{missing} of 4 messages that are no task and no result are not dead-lettered.")
    return "4 messages of code are dead letters, and did nothing; 5 honest tasks are done."
