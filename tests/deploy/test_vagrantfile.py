"""The Vagrantfile is valid. `make test-vagrant` runs it, and what it starts, for real."""

import shutil

import pytest

from helpers.missing import has_package, leave_out
from helpers.validators import call


@pytest.fixture(autouse=True)
def vagrant():
    """Debian 12 has Vagrant in its packages, Debian 13 and others have not."""
    if shutil.which("vagrant") is None and not has_package("vagrant"):
        leave_out("this system has no package of Vagrant")


@pytest.mark.parametrize("topology", ["single", "cluster"])
def test_the_vagrantfile_is_valid(topology, tmp_path):
    # Vagrant knows only the providers that are installed, and here there is none.
    done = call("vagrant", "validate", "--ignore-provider", OAT_TOPOLOGY=topology, VAGRANT_HOME=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "value"), [("OAT_TOPOLOGY", "many"), ("OAT_WORKERS", "0"), ("OAT_WORKERS", "x")])
def test_the_vagrantfile_names_a_wrong_setting(name, value, tmp_path):
    done = call("vagrant", "validate", "--ignore-provider", **{name: value, "VAGRANT_HOME": str(tmp_path)})
    assert done.returncode != 0
    assert f"{name}: expected" in done.stderr
    assert f'not "{value}"' in done.stderr
