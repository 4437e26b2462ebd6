"""A chapter that is not true fails with its line, what was expected and what came; an update makes it true."""

import os
import signal
import subprocess
import sys
from uuid import uuid4

import psutil
import pytest

from helpers.missing import leave_out
from helpers.waiting import wait_until
from tutorial.machine import ROOT, run_chapters, why_not

CHAPTER = """\
# A chapter

In terminal 1:

```console
$ mkfifo ~/pipe
$ echo ready; cat ~/pipe
ready
```

In terminal 2:

```console
$ exec 3>~/pipe
$ echo "2026-11-26 12:00:00 task aaaaaaaa-0000-4000-8000-000000000000" >&3
$ hostname
desktop
```

In terminal 1:

```console
2015-02-12 22:21:42 task bbbbbbbb-0000-4000-8000-000000000000
^C
```

In terminal 2:

```console
$ echo bbbbbbbb-0000-4000-8000-000000000000
bbbbbbbb-0000-4000-8000-000000000000
```
"""


@pytest.fixture
def chapter(tmp_path):
    file = tmp_path / "0-a-chapter.md"
    file.write_text(CHAPTER)
    if reason := why_not(file):
        leave_out(f"the tutorial needs namespaces: {reason}")
    return file


def run(chapter, *options):
    folder = chapter.parent / f"machine{len(list(chapter.parent.iterdir()))}"
    folder.mkdir()
    return run_chapters([chapter], folder, *options)


def test_a_drift_is_told_with_its_line_and_an_update_mends_it(chapter):
    done = run(chapter)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(
        "docs/tutorial/0-a-chapter.md:17: at terminal 2\n  expected: desktop\n  came:     laptop\n"
    )
    assert run(chapter, "--update").returncode == 0
    assert chapter.read_text() == CHAPTER.replace("desktop", "laptop")
    assert run(chapter).returncode == 0


def test_another_uuid_in_another_terminal_is_a_drift(chapter):
    text = CHAPTER.replace("desktop", "laptop")
    chapter.write_text(text.replace("$ echo bbbb", "$ echo cccc"))
    done = run(chapter)
    assert done.returncode == 1, done.stderr
    assert "docs/tutorial/0-a-chapter.md:31: at terminal 2" in done.stdout
    assert "which is in this run: aaaaaaaa-0000-4000-8000-000000000000" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_what_a_run_has_started_ends_with_it(chapter, number):
    """Also in the background, and in a session of its own."""
    mark = uuid4().hex
    sleep = f"bash -c 'exec -a {mark} sleep 1000'"
    chapter.write_text(f"```console\n$ setsid {sleep} &\n...\n$ {sleep}\n```\n")
    folder = chapter.parent / "machine"
    folder.mkdir()
    code = f"from pathlib import Path; import tutorial.machine as m; m.run_chapters([{chapter!r}], {folder!r})"
    code = code.replace("PosixPath", "Path")
    run = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT / "tests")})

    def started():
        assert run.poll() is None
        return [each.pid for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or ())]

    try:
        wait_until(lambda: len(started()) == 2, "two commands")
        pids = started()
    finally:
        run.send_signal(number)
        run.wait()
    wait_until(lambda: not any(map(psutil.pid_exists, pids)), "their end")
