"""What a checkout brings with it: line ends, the dev container, the check of sizes."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from helpers.validators import ROOT, call

SCRIPTS = [path for folder in ("provision", "tests", ".ci") for path in (ROOT / folder).rglob("*")]
SCRIPTS = [path for path in SCRIPTS if path.is_file() and path.read_bytes()[:2] == b"#!"]
PICTURES = sorted(path for kind in ("png", "webp") for path in (ROOT / "docs/images").glob(f"*.{kind}"))


def git(folder, *arguments):
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    done = call(
        "git", "-C", folder, *identity, *arguments, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("attributes", [True, False], ids=["with .gitattributes", "without"])
def test_scripts_have_lf_in_a_clone_of_windows(tmp_path, attributes):
    files = [*SCRIPTS, *PICTURES, ROOT / "Makefile", *([ROOT / ".gitattributes"] if attributes else [])]
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    for file in files:
        (origin / file.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, origin / file.relative_to(ROOT))
    git(origin, "init", "--quiet")
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "--message", "files")
    git(tmp_path, "clone", "--quiet", "-c", "core.autocrlf=true", origin, clone)
    unchanged = [file for file in files if (clone / file.relative_to(ROOT)).read_bytes() == file.read_bytes()]
    assert len(PICTURES) > 1
    assert unchanged == (files if attributes else PICTURES)


def test_the_dev_container_is_set_up_by_make():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert {"name", "image", "postCreateCommand"} <= container.keys()
    assert container.keys() <= {"name", "image", "postCreateCommand", "forwardPorts", "customizations"}
    command, target = container["postCreateCommand"].split()
    assert command == "make"
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    version = re.fullmatch(r"python:(\d+\.\d+)-bookworm", container["image"])[1]
    assert f'requires-python = ">={version}"' in (ROOT / "pyproject.toml").read_text()
    assert container["forwardPorts"] == [8080]
    assert container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"] == ".venv/bin/python"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("def f():\n" + 49 * "    x = 1\n", ""),
        ("def f():\n" + 50 * "    x = 1\n", "long.py:1: f has 51 lines"),
        (300 * "x = 1\n", ""),
        (301 * "x = 1\n", "long.py: 301 lines"),
    ],
)
def test_sizes_above_the_limits_are_named(tmp_path, text, complaint):
    (tmp_path / "long.py").write_text(text)
    git(tmp_path, "init", "--quiet")
    command = [sys.executable, ROOT / ".ci/sizes.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stderr.strip(), done.returncode) == (complaint, int(bool(complaint)))
