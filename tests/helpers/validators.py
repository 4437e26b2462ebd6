"""Programs that judge what deploys the services, and where its files are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from helpers.missing import require

ROOT = Path(__file__).parents[2]


DEPLOY = ROOT / "deploy"


def call(command, *arguments, **variables):
    """Run a validator; where there is none here, the test is left out, and with CI=true it fails."""
    beside_python = Path(sys.executable).with_name(command)
    path = str(beside_python) if beside_python.exists() else shutil.which(command)
    if path is None:
        require(command)
    return subprocess.run(
        [path, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]
