"""Shell scripts, by shellcheck."""

import os

from helpers.validators import ROOT, call

FOLDERS = (".ci", "provision", "tests")


def is_script(path):
    return path.is_file() and path.read_bytes()[:2] == b"#!"


def test_shell_scripts_are_clean():
    scripts = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if is_script(path)]
    scripts.append(ROOT / "docs" / "tutorial" / "machines.sh")
    assert len(scripts) > 9
    assert all(script.read_text().startswith("#!/usr/bin/env bash\n") for script in scripts)
    assert all(os.access(script, os.X_OK) for script in scripts)
    done = call("shellcheck", "--severity=warning", *scripts)
    assert done.returncode == 0, done.stdout
