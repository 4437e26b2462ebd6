"""The command line: python3 -m cloud up [--image] | down | status [--json] | image."""

from __future__ import annotations

import argparse
import fcntl
import sys
from typing import IO

from cloud.down import down
from cloud.image import build_application, upload, write_qcow2
from cloud.progress import CloudError, fail, say
from cloud.settings import Cloud
from cloud.status import status
from cloud.up import up


def main() -> int:
    """Does as told; the exit status."""
    parser = argparse.ArgumentParser(prog="cloud", description="a private OpenStack on this machine")
    commands = parser.add_subparsers(dest="command", required=True)
    bring_up = commands.add_parser("up", help="bring up what is not up yet")
    bring_up.add_argument("--image", action="store_true", help="make the application's image meanwhile")
    commands.add_parser("image", help="make the application's image, and put it into Glance")
    commands.add_parser("down", help="end all of it")
    commands.add_parser("status", help="tell what runs").add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    cloud = Cloud()
    try:
        if arguments.command == "status":
            return status(cloud, arguments.json)
        lock = _lock(cloud)
        if arguments.command == "up":
            up(cloud, has_application=arguments.image)
            say(f"the cloud is up: source {cloud.folder}/tutorial-openrc, then type: openstack server list")
        elif arguments.command == "image":
            file = upload(cloud, "oat", build_application(cloud))
            say(f"Glance has the image oat; for another cloud it is {write_qcow2(cloud, file)}")
        else:
            down(cloud)
        lock.close()
    except CloudError as error:
        return fail(error)
    return 0


def _lock(cloud: Cloud) -> IO[str]:
    """Takes the folder for this process; the lock ends with it."""
    cloud.folder.mkdir(parents=True, exist_ok=True)
    lock = (cloud.folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CloudError(f"another command is at work on the cloud in {cloud.folder}") from None
    return lock


if __name__ == "__main__":
    sys.exit(main())
