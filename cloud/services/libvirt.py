"""libvirt, which starts and stops the servers for Nova: containers, by its LXC driver.

Its folders (/etc/libvirt, /run/libvirt and so on) are the cloud's own here: libvirtd runs in a mount namespace
where they are mounted from the cloud's folder, so a libvirtd of the machine is not disturbed. nova-compute joins
it there, since it mounts a server's disk before libvirtd starts the container on it. With the last process in
the namespace the mounts are gone. Of libvirtd's drivers it gets those that Nova asks here: the one for QEMU
wants a user libvirt-qemu, the one for networks changes this machine's firewall.
"""

import contextlib
import filecmp
import shutil
from pathlib import Path

from cloud.processes import Process
from cloud.service import succeeds
from cloud.settings import Cloud

DATABASES: tuple[str, ...] = ()
_FOLDERS = {"/etc/libvirt": "etc", "/run/libvirt": "run", "/var/lib/libvirt": "lib", "/var/cache/libvirt": "cache"}
DRIVERS_BESIDE_LXC = ("nodedev", "secret")
"""From Debian 13 on each is in a package of its own; before, they are in libvirt-daemon."""


def configure(cloud: Cloud) -> None:
    """Writes libvirtd.conf and lxc.conf, and makes the folders that are mounted over libvirt's own."""
    for system, name in _FOLDERS.items():
        Path(system).mkdir(parents=True, exist_ok=True)
        (cloud.state / "libvirt" / name).mkdir(parents=True, exist_ok=True)
    cloud.write(
        "libvirt/libvirtd.conf",
        f"""\
unix_sock_dir = "{cloud.run}/libvirt"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "2:stderr"
""",
    )
    (cloud.run / "libvirt").mkdir(exist_ok=True)
    (cloud.state / "libvirt/etc/lxc.conf").write_text('security_driver = "none"\n')
    drivers = cloud.state / "libvirt/drivers"
    drivers.mkdir(exist_ok=True)
    for driver in "lxc", *DRIVERS_BESIDE_LXC:
        source = _driver_folder() / f"libvirt_driver_{driver}.so"
        if not (drivers / source.name).exists() or not filecmp.cmp(source, drivers / source.name):
            shutil.copy2(source, drivers / "new")  # a libvirtd that runs has the old file mapped
            (drivers / "new").rename(drivers / source.name)


def migrations(cloud: Cloud) -> list[list[str]]:
    """None."""
    return []


def processes(cloud: Cloud) -> list[Process]:
    """libvirtd, and what reads the servers' consoles."""
    folders = _FOLDERS | {str(_driver_folder()): "drivers"}
    mounts = [f"mount --bind {cloud.state}/libvirt/{name} {system}" for system, name in folders.items()]
    # Where cgroup v1 and v2 are both mounted, libvirt's LXC driver takes the second for the whole and fails.
    hybrid = "[ -d /sys/fs/cgroup/memory ] && umount /sys/fs/cgroup/unified 2>/dev/null"
    script = f"{' && '.join(mounts)} && {{ {hybrid}; exec libvirtd -f {cloud.etc}/libvirt/libvirtd.conf; }}"
    return [
        Process(
            "libvirtd",
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
            ready=lambda: succeeds(cloud, "virsh", "-c", uri(cloud), "list"),
        ),
        Process(
            "consoles",
            [f"{cloud.venv}/bin/python", str(Path(__file__).parent.with_name("consoles.py")), uri(cloud)],
        ),
    ]


def _driver_folder() -> Path:
    installed = Path("/usr/lib").glob("*/libvirt/connection-driver")
    return next(installed, Path("/usr/lib/libvirt/connection-driver"))  # before it is installed, anywhere


def uri(cloud: Cloud) -> str:
    """Where the cloud's libvirtd listens."""
    return f"lxc:///system?socket={cloud.run}/libvirt/libvirt-sock"


def in_mount_namespace(cloud: Cloud, command: list[str]) -> list[str]:
    """The command that runs a command where libvirtd runs; by libvirtd's own process id, when it is started."""
    record = cloud.run / "processes" / "libvirtd.json"
    script = f"""pid=$(sed -n 's/ *"pid": \\([0-9]*\\),/\\1/p' {record}); exec nsenter -t "$pid" -m -r -w "$@\""""
    return ["sh", "-c", script, "-", *command]


def link_python_module(cloud: Cloud) -> None:
    """Makes Debian's libvirt module importable in the virtual environment: PyPI has its source only."""
    python_packages = next(cloud.venv.glob("lib/python3*/site-packages"))
    for file in Path("/usr/lib/python3/dist-packages").glob("libvirt*"):
        if file.suffix in {".py", ".so"}:
            with contextlib.suppress(FileExistsError):
                (python_packages / file.name).symlink_to(file)
