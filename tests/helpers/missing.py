"""What a test needs and this machine lacks: said loudly, and with CI=true a failure where it could be had."""

import os
import shutil
import subprocess
import warnings

import pytest


def leave_out(reason):
    """Skip this test for a `reason` that no installation can mend: nobody but root can, this release has no package."""
    warnings.warn(f"LEFT OUT: {reason}", stacklevel=2)
    pytest.skip(reason)


def require(program):
    """Leave out this test, for want of a `program` that `make test` would have installed; with CI=true, fail."""
    reason = f"{program} is not installed; make test brings it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    leave_out(reason)


def has_package(name):
    """Tell whether this system's packages have `name`; without apt nobody knows, and it is taken to be so."""
    if shutil.which("apt-cache") is None:
        return True
    return subprocess.run(["apt-cache", "show", name], capture_output=True, check=False).returncode == 0
