"""Installs what the cloud consists of: Debian's packages, OpenStack from PyPI, Open vSwitch and OVN.

None of Debian's packages is started as a system service. Open vSwitch and OVN are Debian 13's, unpacked and run by
path with that release's own libraries, on Debian 12 and 13 alike: the Open vSwitch 3.1 of Debian 12 aborts in its
user-space connection tracking after some 800 connections.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from cloud.progress import CloudError, step
from cloud.service import run
from cloud.services import libvirt
from cloud.settings import Cloud

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""The authorities that this machine trusts."""

# Debian's packages, each with a file of it, by which we see that it is there.
_DEBIAN = {
    "debootstrap": "/usr/sbin/debootstrap",  # makes the servers' image
    "e2fsprogs": "/usr/sbin/mkfs.ext4",  # the same
    "haproxy": "/usr/sbin/haproxy",  # passes on the servers' requests for metadata
    "iproute2": "/usr/bin/ip",
    "iptables": "/usr/sbin/iptables",  # what the metadata agent needs beside haproxy
    "libvirt-clients": "/usr/bin/virsh",
    "libvirt-daemon": "/usr/sbin/libvirtd",
    "libvirt-daemon-driver-lxc": "/usr/lib/libvirt/libvirt_lxc",
    "mariadb-client-core": "/usr/bin/mariadb",
    "mariadb-server-core": "/usr/sbin/mariadbd",
    "memcached": "/usr/bin/memcached",  # Swift's cache
    "prometheus": "/usr/bin/prometheus",
    "python3-libvirt": "/usr/lib/python3/dist-packages/libvirt.py",  # nova-compute's way to libvirtd
    "qemu-utils": "/usr/bin/qemu-img",  # turns images into qcow2
    "rabbitmq-server": "/usr/lib/rabbitmq/bin/rabbitmq-server",
}
_UNITS = (
    "haproxy",
    "memcached",
    "prometheus",
    "rabbitmq-server",
)  # what they would have systemd start with the machine
_SWITCH = ("openvswitch-switch", "ovn-central", "ovn-host")
_SWITCH_PROGRAMS = (
    "usr/sbin/ovsdb-server",
    "usr/bin/ovsdb-client",
    "usr/bin/ovsdb-tool",
    "usr/bin/ovs-vsctl",
    "usr/bin/ovs-ofctl",
    "usr/bin/ovs-appctl",
    "usr/lib/openvswitch-switch/ovs-vswitchd",
    "usr/bin/ovn-northd",
    "usr/bin/ovn-controller",
    "usr/bin/ovn-nbctl",
    "usr/bin/ovn-sbctl",
    "usr/bin/ovn-appctl",
    "usr/bin/ovn-trace",
)


def install_debian_packages(cloud: Cloud) -> None:
    """Makes the cloud's folders, and installs what is missing of Debian's packages.

    Raises:
        CloudError: the cloud does not run on this machine, or an installation failed; the message says why.
    """
    if os.getuid() != 0:
        raise CloudError("networks and containers are made by root only: become root, or use sudo")
    if not shutil.which("apt-get"):
        raise CloudError("this is not Debian: the servers come from Debian's packages")
    if debian_release() not in {"bookworm", "trixie"}:
        raise CloudError(
            f"this is neither Debian 12 nor 13, but {platform.freedesktop_os_release()['PRETTY_NAME']}"
        )
    for folder in cloud.etc, cloud.log, cloud.run, cloud.state, cloud.bin:
        folder.mkdir(parents=True, exist_ok=True)
    cloud.folder.chmod(0o755)
    for folder in cloud.etc, cloud.log, cloud.run, cloud.state:
        folder.chmod(0o711)  # passwords are in files of root's only, logs are nobody else's business
    (cloud.state / "release").write_text(cloud.release)
    _install_missing(cloud)


def install_openstack(cloud: Cloud) -> None:
    """Installs what is missing of OpenStack, of Open vSwitch and OVN.

    Raises:
        CloudError: it failed; the message says why.
    """
    _fill_environment(cloud)
    _unpack_switch(cloud)


def _install_missing(cloud: Cloud) -> None:
    missing = [name for name, file in _DEBIAN.items() if not Path(file).exists()]
    if debian_release() != "bookworm":
        drivers = {path.stem for path in Path("/usr/lib").glob("*/libvirt/connection-driver/*.so")}
        missing += [
            f"libvirt-daemon-driver-{name}"
            for name in libvirt.DRIVERS_BESIDE_LXC
            if f"libvirt_driver_{name}" not in drivers
        ]
    if subprocess.run(["/usr/bin/python3", "-c", "import ensurepip"], capture_output=True, check=False).returncode:
        missing.append("python3-venv")
    if not missing:
        return
    with step(f"Debian's packages: {' '.join(missing)}"):
        policy = Path("/usr/sbin/policy-rc.d")  # asked before a package starts its service
        ours = not policy.exists()
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        try:
            _run(cloud, ["apt-get", "update", "-q"])
            _run(cloud, ["apt-get", "install", "-qy", "--no-install-recommends", *missing])
            units = [name for name in missing if name in _UNITS]
            if units and Path("/run/systemd/system").exists():
                _run(cloud, ["systemctl", "disable", "--quiet", *units])
        finally:
            if ours:
                policy.unlink()


def _fill_environment(cloud: Cloud) -> None:
    """Fills the virtual environment. uv is pinned beside the rest, and needs seconds where pip needs minutes."""
    stamp = cloud.venv / "requirements.sha256"
    requirements = cloud.requirements
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        with step(f"OpenStack {cloud.release} from PyPI"):
            if not (cloud.venv / "bin/pip").exists():
                _run(cloud, ["/usr/bin/python3", "-m", "venv", str(cloud.venv)])
            pin = re.search(r"^uv==(?:.*\\\n)*.*\n?", requirements.read_text(), re.MULTILINE)
            if not pin:
                raise CloudError(
                    f"{requirements.name} has no uv: make cloud-lock writes it from requirements-cloud.in"
                )
            uv = cloud.venv / "requirements-uv.txt"
            uv.write_text(pin[0])
            _run(cloud, [f"{cloud.venv}/bin/pip", "install", "-q", "--require-hashes", "-r", str(uv)])
            target = ["--python", f"{cloud.venv}/bin/python", "--compile-bytecode"]
            install_all = [f"{cloud.venv}/bin/uv", "pip", "install", "-q", *target, "--require-hashes"]
            _run(cloud, [*install_all, "-r", str(requirements)])
            stamp.write_text(digest)
    libvirt.link_python_module(cloud)
    link = cloud.bin / "openstack"
    if not link.is_symlink():
        link.symlink_to(cloud.venv / "bin/openstack")


def _unpack_switch(cloud: Cloud) -> None:
    """Unpacks Open vSwitch and OVN with all they need, and writes a script in `bin` for each of their programs.

    apt gets lists and a status of its own, which knows Debian 13 and no installed package, so it fetches every
    library too, and checks the signatures as ever.
    """
    root = cloud.switch
    if not root.exists():
        with step("Open vSwitch and OVN of Debian 13"):
            apt, unpacked = cloud.folder / "switch.apt", cloud.folder / "switch.new"
            for folder in apt, unpacked:
                shutil.rmtree(folder, ignore_errors=True)
            for name in "etc/preferences.d", "state/lists/partial", "cache/archives/partial":
                (apt / name).mkdir(parents=True)
            (apt / "status").touch()
            keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
            (apt / "etc/sources.list").write_text(f"deb [signed-by={keys}] {debian_mirror()} trixie main\n")
            options = [f"Dir::Etc={apt}/etc", f"Dir::State={apt}/state", f"Dir::State::status={apt}/status"]
            options += [f"Dir::Cache={apt}/cache", "APT::Sandbox::User=root", "Debug::NoLocking=1"]
            own = [part for option in options for part in ("-o", option)]
            _run(cloud, ["apt-get", *own, "update", "-q"])
            fetch = ["install", "-qy", "--download-only", "--no-install-recommends"]
            _run(cloud, ["apt-get", *own, *fetch, *_SWITCH])
            for package in sorted((apt / "cache/archives").glob("*.deb")):
                if package.name.startswith(("lib", "openvswitch-", "ovn-")):
                    _run(cloud, ["dpkg-deb", "--extract", str(package), str(unpacked)])
            shutil.rmtree(apt)
            unpacked.rename(root)
    libraries = next(root.glob("usr/lib/*/libc.so.6")).parent
    loader = next(libraries.glob("ld-linux*.so.*"))
    for path in _SWITCH_PROGRAMS:
        script = cloud.bin / Path(path).name
        script.write_text(f"""\
#!/bin/sh
export OVS_RUNDIR={cloud.run}/ovs OVN_RUNDIR={cloud.run}/ovs OVS_PKGDATADIR={root}/usr/share/openvswitch
export OVN_NB_DB=unix:{cloud.run}/ovs/db.sock OVN_SB_DB=unix:{cloud.run}/ovs/db.sock
exec {loader} --argv0 {script.name} --library-path {libraries} {root}/{path} "$@"
""")
        script.chmod(0o755)


def debian_release() -> str:
    """The code name of this machine's release of Debian, which servers get too."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def debian_mirror() -> str:
    """Where this machine's own packages of Debian come from."""
    format_ = "$(REPO_URI) $(ORIGIN) $(COMPONENT) $(CODENAME)"
    targets = ["apt-get", "indextargets", "--format", format_, "Created-By: Packages"]
    for line in subprocess.run(targets, capture_output=True, text=True, check=True).stdout.splitlines():
        uri, origin, component, codename = [*line.split(), "", "", "", ""][:4]
        if origin == "Debian" and component == "main" and codename in {"bookworm", "trixie"}:
            return uri
    raise CloudError("apt knows no source of Debian 12 or 13: run apt-get update")


def _run(cloud: Cloud, command: list[str]) -> None:
    variables = {"DEBIAN_FRONTEND": "noninteractive"}
    if CERTIFICATES.exists():
        # uv has certificates of its own, and a proxy or a mirror may have one that only this machine knows.
        variables["SSL_CERT_FILE"] = os.environ.get("SSL_CERT_FILE") or str(CERTIFICATES)
    run(cloud, command, "install", inherit=True, **variables)
