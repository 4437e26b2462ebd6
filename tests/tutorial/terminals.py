"""Terminals, each with a shell, that are read all the time, whatever program is in the foreground of which."""

import os
import time
from collections.abc import Callable

import pexpect
import pyte

PROMPT = "\x1e$ "
"""The shell's prompt, with a sign that no program prints."""

COLUMNS, ROWS = 400, 3000
"""Wide enough for a line of a log, which a reader's terminal would break; long enough for all its output."""


class Terminal:
    """A terminal with bash in it."""

    def __init__(self, environment: dict[str, str], folder: str) -> None:
        self._child = pexpect.spawn(
            "bash", ["--noprofile", "--norc", "--noediting"], echo=False, encoding="utf-8", codec_errors="replace",
            env=environment | {"PS1": PROMPT, "PS2": ""}, cwd=folder, dimensions=(ROWS, COLUMNS),
        )  # fmt: skip
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._screen)
        self._tail = ""
        """The last characters that came."""
        self._is_pressed = False
        """Whether a key was pressed and nothing has come since: the shell may end that line first."""
        self._taken = 0
        """How many lines of the screen have been dealt with."""

    def read(self) -> None:
        """Take what has been printed since."""
        try:
            while True:
                text = self._child.read_nonblocking(65536, timeout=0)
                self._stream.feed(text.removeprefix("\r\n") if self._is_pressed else text)
                self._is_pressed = False
                self._tail = (self._tail + text)[-len(PROMPT) :]
        except (pexpect.TIMEOUT, pexpect.EOF):
            pass

    @property
    def asks(self) -> bool:
        """Whether the shell waits for a command."""
        return self._tail == PROMPT

    def lines(self) -> list[str]:
        """Return the lines on the screen that have not been taken; one that is not yet complete is none."""
        screen = self._screen
        rows = range(self._taken, screen.cursor.y)
        lines = ["".join(screen.buffer[row][x].data for x in range(COLUMNS)).rstrip() for row in rows]
        last = "".join(screen.buffer[screen.cursor.y][x].data for x in range(screen.cursor.x))
        is_shown = self._taken <= screen.cursor.y
        if (
            self.asks and is_shown and (unfinished := last.removesuffix(PROMPT.lstrip("\x1e")))
        ):  # no newline before the prompt
            lines.append(unfinished.rstrip())
        return lines

    def take(self, count: int) -> None:
        """Forget the first `count` lines."""
        self._taken += count

    def type(self, command: str) -> None:
        """Type a command and Enter, on an empty screen."""
        self._tail, self._taken = "", 0
        self._screen.reset()
        self._child.sendline(command)

    def press(self, key: str) -> None:
        """Press Ctrl and a key."""
        self._tail = ""
        self._is_pressed = True
        self._child.sendcontrol(key)

    def close(self) -> None:
        """Close the window: its programs get SIGHUP."""
        self._child.close(force=True)


class Desk:
    """The terminals of a reader."""

    def __init__(self, environment: dict[str, str], folder: str) -> None:
        self._environment, self._folder = environment, folder
        self._terminals: dict[int, Terminal] = {}

    def terminal(self, number: int) -> Terminal:
        """Return a terminal; it is opened when it is first asked for."""
        if number not in self._terminals:
            self._terminals[number] = Terminal(self._environment, self._folder)
            self.wait(lambda: self._terminals[number].asks, 30)
        return self._terminals[number]

    def close(self) -> None:
        """Close all terminals."""
        for terminal in self._terminals.values():
            terminal.close()

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Read all terminals until a condition is true, or the time is over; return whether it is true."""
        deadline = time.monotonic() + seconds
        while True:
            for terminal in self._terminals.values():
                terminal.read()
            if condition():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)


def plain_environment(home: str, user: str = "you") -> dict[str, str]:
    """Return the environment of somebody who has just logged in."""
    return {
        "HOME": home, "USER": user, "LOGNAME": user, "SHELL": "/bin/bash", "LANG": "C.UTF-8",
        "TERM": "xterm", "NO_COLOR": "1", "VIRTUAL_ENV_DISABLE_PROMPT": "1",
        "PATH": os.environ.get("TUTORIAL_PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
    }  # fmt: skip
