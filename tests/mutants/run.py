"""Plants each fault of mutants.toml into a copy of the sources, and sees that its test fails: `make mutants`.

First all these tests have to pass on an untouched copy. A mutant is caught if its test fails by an assertion, or
by a condition that does not come true; an import error or a test that is left out catches nothing.
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.guard import guard_process, temporary_folder
from helpers.mutants import ROOT, Mutant, copy_tree, environment, load

BIN = Path(sys.executable).parent

TIMEOUT = 600
"""Seconds for the test of one mutant."""

ASSERTION = re.compile(
    r"AssertionError|assert |Failed: DID NOT RAISE|TimeoutError: .* did not come true", re.DOTALL
)
"""How the message of a failure begins that says that something is not as it should be."""

console = Console()


def pytest(copy: Path, tests: Sequence[str], *options: str) -> list[ElementTree.Element]:
    """Run `tests` in `copy`, and return an element of the report for each."""
    report = copy / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", "no:cacheprovider", f"--junitxml={report}"]
    log = copy / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, *options, *tests], cwd=copy, env=environment(copy), stdout=file, stderr=file
        )
        guard_process(process.pid)
        try:
            process.wait(TIMEOUT * len(tests))
        except subprocess.TimeoutExpired:
            process.terminate()  # pytest ends its servers
            process.wait()
    if not report.exists():
        raise SystemExit(log.read_text()[-3000:])
    return list(ElementTree.parse(report).getroot().iter("testcase"))  # our own file


def verdict(cases: list[ElementTree.Element]) -> str:
    """Return "caught", or what else became of the test of a mutant."""
    failures = [failure.get("message", "") for case in cases for failure in case.iter("failure")]
    if any(ASSERTION.match(failure) for failure in failures):
        return "caught"
    errors = [error.get("message", "") for case in cases for error in case.iter("error")]
    if broken := failures + errors:
        return f"broken: {broken[0].splitlines()[0][:80]}"
    return "left out" if not cases or any(True for case in cases for _ in case.iter("skipped")) else "SURVIVED"


def check_that_the_copy_runs(folder: Path) -> None:
    """Check that Python and the console scripts import what is in a copy.

    Raises:
        SystemExit: they import something else.
    """
    copy = copy_tree(ROOT, folder / "canary")
    (copy / "src/oat/__init__.py").write_text('raise SystemExit("the copy runs")\n')
    for command in ([sys.executable, "-c", "import oat"], [BIN / "oat-worker", "--help"]):
        done = subprocess.run(
            command, env=environment(copy), cwd=copy, capture_output=True, text=True, check=False
        )
        if "the copy runs" not in done.stderr:
            raise SystemExit(f"{command} does not import the copy in {copy}")


def judge(folder: Path, number: int, mutant: Mutant) -> tuple[str, float]:
    """Plant `mutant`, run its test, and return what became of it, and the seconds."""
    started = time.monotonic()
    copy = copy_tree(folder / "sources", folder / f"mutant{number}", mutant)
    result = verdict(pytest(copy, [mutant.test], "-x"))
    if result.startswith("broken"):  # perhaps a server that could not start on a busy machine
        result = verdict(pytest(copy, [mutant.test], "-x"))
    console.print(f"{result}: {mutant.rule}", highlight=False)
    if result != "caught":
        console.print((copy / "log").read_text()[-2000:], markup=False, highlight=False)
    return result, time.monotonic() - started


def check_untouched(folder: Path, tests: Sequence[str], jobs: int) -> None:
    """Check that all `tests` pass on an untouched copy.

    Raises:
        SystemExit: one does not.
    """
    copy = copy_tree(folder / "sources", folder / "untouched")
    cases = pytest(copy, tests, "-n", str(jobs))
    bad = [
        case.get("name")
        for case in cases
        if any(case.find(tag) is not None for tag in ("failure", "error", "skipped"))
    ]
    if bad or len(cases) < len(tests):
        console.print((copy / "log").read_text()[-5000:], markup=False, highlight=False)
        raise SystemExit(f"these do not pass on the sources as they are: {', '.join(map(str, bad))}")
    console.print(f"{len(cases)} tests pass on the sources as they are")


def main() -> int:
    """Judge the mutants, print the table, and return 1 if not all were caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose rule, module or test contains this")
    parser.add_argument(
        "--jobs", type=int, default=2, help="mutants at the same time; each has servers of its own"
    )
    parser.add_argument(
        "--skip-check", action="store_true", help="do not run the tests on the sources as they are"
    )
    options = parser.parse_args()
    mutants = [each for each in load() if options.only in f"{each.rule} {each.module} {each.test}"]
    with temporary_folder() as folder, ThreadPoolExecutor(options.jobs) as pool:
        copy_tree(ROOT, folder / "sources")  # at once: they may be edited meanwhile
        check_that_the_copy_runs(folder)
        if not options.skip_check:
            check_untouched(folder, sorted({mutant.test for mutant in mutants}), options.jobs)
        judged = list(pool.map(lambda pair: judge(folder, *pair), enumerate(mutants)))
    table = Table(title=f"{sum(result == 'caught' for result, _ in judged)} of {len(mutants)} mutants are caught")
    for heading in ("rule that is broken", "module", "test", "", "s"):
        table.add_column(heading, overflow="fold")
    for mutant, (result, seconds) in zip(mutants, judged, strict=True):
        module, test = str(mutant.module).removeprefix("src/oat/"), mutant.test.removeprefix("tests/")
        table.add_row(mutant.rule, module, test, result, f"{seconds:.0f}")
    console.print(table)
    return int(any(result != "caught" for result, _ in judged))


if __name__ == "__main__":
    sys.exit(main())
