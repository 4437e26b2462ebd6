"""A machine of its own for each chapter: its commands stand as a reader types them, and several run side by side.

Namespaces give it a loopback with all ports free, its own processes, which end with it, the host name `laptop`,
and a new home `/home/you` with this checkout in `~/oat`. Root makes them, and anybody whose kernel has user
namespaces.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from helpers.guard import guard_command, guard_process, release_process
from oat.addresses import cache_folder
from oat.rendering import warm_up
from tutorial.uplink import uplink

ROOT = Path(__file__).resolve().parents[2]

HOME = "/home/you"
CHECKOUT = f"{HOME}/oat"

SETUP = f"""
set -eu
checkout=$1 folder=$2 cache=$3; shift 3
hostname laptop
ip link set lo up
mkdir "$folder/home" "$folder/checkout"
mount --bind "$checkout" "$folder/checkout"
mount --rbind /home "$folder/home"
mount -t tmpfs -o mode=755 none /home
for each in "$folder"/home/*; do
  [ ! -d "$each" ] || {{ mkdir "/home/${{each##*/}}"; mount --rbind "$each" "/home/${{each##*/}}"; }}
done
if mkdir -p /run/netns /etc/netns 2>/dev/null; then  # networks that a chapter makes are its own
  for each in /run/netns /etc/netns; do mount -t tmpfs none $each; done
fi
mkdir -p {CHECKOUT} {HOME}/.cache
[ ! -d "$cache" ] || cp -r "$cache" {HOME}/.cache/oat
mount --bind "$folder/checkout" {CHECKOUT}
echo "127.0.0.1 localhost laptop" >"$folder/hosts"
mount --bind "$folder/hosts" /etc/hosts
"""


NEEDS_NETWORK = "<!-- needs a network -->"
"""In a chapter that installs something: it is run with a way out, and needs root."""

NEEDS_CLOUD = "<!-- needs the cloud -->"
"""In a chapter on the private OpenStack: it is run on this machine, as root, where the cloud is and stays."""

SETUP_CONTAINERS = f"""
mkdir "$folder/containers" "$folder/machines" "$folder/cgroup"
mkdir -p /run/lxc /var/lib/lxc {HOME}/oat-machines
mount --bind "$folder/containers" /var/lib/lxc
mount --bind "$folder/machines" {HOME}/oat-machines
mount -t tmpfs none /run/lxc
mount --rbind /sys/fs/cgroup "$folder/cgroup"
mount -t sysfs none /sys  # that of the network
mount --rbind "$folder/cgroup" /sys/fs/cgroup
"""
"""What Vagrant's containers leave elsewhere: all of it is in `folder`, or ends with the namespaces."""


def on_own_machine(folder: Path, command: list[str], network: list[str] | None = None) -> list[str]:
    """Return the words of a command that runs `command` on a machine of its own; `folder` is empty, for its use.

    The renderer is compiled already, as it is for a reader from the first chapter on.

    Args:
        network: the words before a command that runs it in a network that is there; None, in one of its own.
    """
    warm_up()
    namespaces = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.getuid() != 0:
        namespaces.append("--map-root-user")
    if network is None:
        namespaces.append("--net")
    return [
        *(network or ()),
        "unshare",
        *namespaces,
        "bash",
        "-c",
        SETUP + (SETUP_CONTAINERS if network else "") + 'exec "$@"\n',
        "setup",
        str(ROOT),
        str(folder),
        str(cache_folder()),
        *command,
    ]


def why_not(chapter: Path) -> str | None:
    """Return why there can be no machine for a chapter here; None if there can."""
    if NEEDS_NETWORK in chapter.read_text() and os.getuid() != 0:
        return "a way out needs root"
    return why_no_namespaces()


@cache
def why_no_namespaces() -> str | None:
    """Return why there can be no namespaces here; None if there can."""
    flags = ["--map-root-user"] if os.getuid() != 0 else []
    command = ["unshare", *flags, "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no unshare here"
    return done.stderr.strip() or "unshare failed" if done.returncode else None


def run_chapters(chapters: Sequence[Path], folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run chapters on one machine of their own, or in the cloud; the standard output tells where one differs.

    The machine ends with this process, however that ends.
    """
    words = [sys.executable, "-m", "tutorial.run", *map(str, chapters), *options]
    text = "".join(each.read_text() for each in chapters)
    if NEEDS_CLOUD in text:
        return run_and_guard(words)
    if NEEDS_NETWORK not in text:
        return run_and_guard(on_own_machine(folder, words))
    guard_command(["rm", "-rf", folder])
    with uplink() as network:
        return run_and_guard(on_own_machine(folder, words, network))


def run_and_guard(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; it ends with this process at the latest."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
    ) as process:
        guard_process(process.pid)  # and with it what runs in its namespaces: --kill-child
        try:
            output, errors = process.communicate()
        except BaseException:
            process.kill()
            raise
        finally:
            release_process(process.pid)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)
