"""The images of servers: `debian` with `make cloud`, and `oat`, the application in it, with `make cloud-image`.

An image is one ext4 file system without partitions, made from a folder, and put into Glance. Nothing is mounted.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from cloud.packages import debian_mirror, debian_release
from cloud.progress import CloudError, step
from cloud.service import python, run
from cloud.settings import Cloud

_CHECKOUT = Path(__file__).parents[1]
_GUEST = Path(__file__).with_name("guest")
_SPARE = 1.08  # what a file system needs beyond its files; Nova enlarges it to the flavor's disk


def build_debian(cloud: Cloud) -> Path:
    """Makes the bare Debian, as a folder, unless it is there and its recipe the same."""
    root, recipe = _folder(cloud, "debian"), _GUEST / "debian.sh"
    if not _is_made_by(root, [recipe]):
        with step(f"the image debian ({debian_release()})"):
            _stamp(root).unlink(missing_ok=True)
            run(cloud, [str(recipe), str(root), debian_release(), debian_mirror()], "image-debian")
            _note(root, [recipe])
    return root


def build_application(cloud: Cloud) -> Path:
    """Makes the gold image's folder from the bare Debian's."""
    root, recipe = _folder(cloud, "oat"), _GUEST / "application.sh"
    sources = [recipe, _GUEST / "debian.sh", *_tracked_files()]
    if not _is_made_by(root, sources):
        debian = build_debian(cloud)
        with step("the image oat"):
            _stamp(root).unlink(missing_ok=True)  # what an attempt that fails leaves is no image
            shutil.rmtree(root, ignore_errors=True)
            run(cloud, ["cp", "--archive", "--reflink=auto", str(debian), str(root)], "image-oat")
            run(cloud, [str(recipe), str(root), str(_CHECKOUT)], "image-oat", inherit=True)
            _note(root, sources)
    return root


def upload(cloud: Cloud, name: str, root: Path) -> Path:
    """Makes a file system of a folder and puts it into Glance, unless Glance has it; the file."""
    file, uploaded = root.with_suffix(".raw"), root.with_suffix(".uploaded")
    made_by = _stamp(root).read_text()
    if not file.exists() or not uploaded.exists() or uploaded.read_text() != made_by:
        with step(f"{name} in Glance"):
            kibibytes = int(run(cloud, ["du", "--summarize", "--block-size=1K", str(root)], "image").split()[0])
            file.unlink(missing_ok=True)
            run(cloud, ["truncate", f"--size={int(kibibytes * _SPARE)}K", str(file)], "image")
            lazily = ["-E", "lazy_itable_init=1"]
            run(cloud, ["mkfs.ext4", "-q", "-F", "-L", "root", *lazily, "-d", str(root), str(file)], "image")
            python(cloud, "cloud.resources", name, str(file))
            uploaded.write_text(made_by)
    return file


def write_qcow2(cloud: Cloud, file: Path) -> Path:
    """The same file system as a compressed qcow2, for clouds that want that format."""
    qcow2 = file.with_suffix(".qcow2")
    if not qcow2.exists() or qcow2.stat().st_mtime < file.stat().st_mtime:
        with step(f"{qcow2.name}"):
            run(cloud, ["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", str(file), str(qcow2)], "image")
    return qcow2


def _folder(cloud: Cloud, name: str) -> Path:
    folder = cloud.folder / "images" / name
    folder.parent.mkdir(mode=0o711, exist_ok=True)
    return folder


def _tracked_files() -> list[Path]:
    """The files of the checkout, as far as they get into the image; tests and documents change nothing in it."""
    command = [
        "git",
        "-C",
        str(_CHECKOUT),
        "ls-files",
        "-z",
        "src",
        "provision",
        "deploy/systemd",
        "requirements.txt",
    ]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    if listing.returncode:
        raise CloudError(f"the image is made from the files that git knows: {listing.stderr.strip()}")
    return [_CHECKOUT / name for name in listing.stdout.split("\0") if name and (_CHECKOUT / name).exists()]


def _digest(sources: Iterable[Path]) -> str:
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()


def _stamp(root: Path) -> Path:
    return root.with_suffix(".sha256")


def _is_made_by(root: Path, sources: Iterable[Path]) -> bool:
    return root.exists() and _stamp(root).exists() and _stamp(root).read_text() == _digest(sources)


def _note(root: Path, sources: Iterable[Path]) -> None:
    _stamp(root).write_text(_digest(sources))
