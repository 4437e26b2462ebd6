"""Commands that make what a server needs before it starts."""

import os
import shutil
import subprocess


def prepare(command, **options):
    """Run a command; if it fails, what it has printed is in the error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}")


def as_unprivileged(user, folder):
    """Some servers refuse to run as root: the words before a command that runs it as `user`."""
    if os.getuid() != 0:
        return []
    shutil.chown(folder, user)
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
