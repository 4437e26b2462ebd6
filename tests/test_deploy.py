"""What deploys the services is valid: each kind of file is read by a program made to judge it, none by eye.

The Vagrantfile and what it starts, the systemd units among it, are run for real by `make test-vagrant`, the
container image by `make test-container`. The compose file as a whole and the Kubernetes manifests are not run:
nothing here runs them.
"""

import os
import shutil
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml

from servers import PATIENCE
from system import System, terminate

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
UNITS = ["oat-producer.service", "oat-tracker.service", "oat-worker@1.service", "oat-web.service"]
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def call(command, *arguments, **variables):
    """Run a validator; where there is none here, the test is left out, and with CI=true it fails."""
    beside_python = Path(sys.executable).with_name(command)
    path = str(beside_python) if beside_python.exists() else shutil.which(command)
    if path is None:
        message = f"{command} is not installed; make test brings it"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        warnings.warn(f"LEFT OUT: a test that needs {command}", stacklevel=2)
        pytest.skip(message)
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


def test_shell_scripts_are_clean():
    scripts = [path for path in ROOT.glob("provision/*") if path.is_file()]
    scripts += [
        ROOT / "tests" / name
        for name in ("install-servers", "debian", "vagrant/box", "vagrant/run", "container/run")
    ]
    assert len(scripts) > 8
    assert all(script.read_text().startswith("#!/usr/bin/env bash\n") for script in scripts)
    assert all(os.access(script, os.X_OK) for script in scripts)
    done = call("shellcheck", "--severity=warning", *scripts)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def units(tmp_path):
    """A root file system with the units, and with programs and settings where they expect them."""
    folder = tmp_path / "etc/systemd/system"
    shutil.copytree(DEPLOY / "systemd", folder)
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    for command in ("oat", "oat-producer", "oat-tracker", "oat-worker"):
        program = tmp_path / "opt/oat/bin" / command
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("")
        program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_valid_and_confined(units, unit):
    done = call("systemd-analyze", "verify", f"--root={units}", unit)
    assert (done.returncode, done.stderr) == (0, "")
    done = call("systemd-analyze", "security", "--offline=true", "--threshold=20", f"--root={units}", unit)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_what_systemd_starts_says_that_it_is_at_work(units, unit, tmp_path):
    lines = (units / "etc/systemd/system" / unit.replace("@1", "@")).read_text().splitlines()
    assert "Type=notify" in lines
    [command] = [line.partition("=/opt/oat/bin/")[2] for line in lines if line.startswith("ExecStart=")]
    program, *arguments = command.replace(" $OAT_WORKER_OPTIONS", "").split()
    with System(tmp_path, OAT_PORT="0") as system, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        system.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        process = system.start(program, *arguments)
        assert manager.recv(100) == b"READY=1"
        terminate(process)


def test_a_wrong_unit_would_be_noticed(units):
    with (units / "etc/systemd/system/oat-web.service").open("a") as file:
        file.write("Restarts=always\n")
    assert "Restarts" in call("systemd-analyze", "verify", f"--root={units}", "oat-web.service").stderr


def test_the_container_image_is_valid():
    done = call("hadolint", DEPLOY / "Containerfile")
    assert done.returncode == 0, done.stdout


def test_the_compose_file_is_valid():
    from compose_spec import PyOptions  # noqa: PLC0415 (only here)

    text = (DEPLOY / "compose.yaml").read_text()
    compose = PyOptions(apply_merge=True).from_yaml(text)
    compose.validate()
    assert compose.to_spec().services.keys() >= {"producer", "worker", "tracker", "web", "rabbitmq", "mariadb"}
    with pytest.raises(ValueError, match="restarts"):
        PyOptions(apply_merge=True).from_yaml(text.replace("restart:", "restarts:", 1)).to_spec()


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_the_kubernetes_manifests_are_valid(path):
    import kubernetes_validate  # noqa: PLC0415 (only here)
    from cloudcoil.models.keda import v1alpha1 as keda  # noqa: PLC0415 (only here)

    for document in documents(path):
        if document["apiVersion"].startswith("keda.sh/"):
            model = getattr(keda, document["kind"])
            kept = model.model_validate(document).model_dump(by_alias=True, exclude_none=True, exclude_unset=True)
            assert kept == document, "a field that KEDA does not know"
        elif document["kind"] == "Kustomization":
            assert {MANIFESTS[0].parent / name for name in document["resources"]} == set(MANIFESTS) - {path}
        else:
            kubernetes_validate.validate(document, "1.33", strict=True)


def test_what_the_manifests_name_is_there():
    found = {(document["kind"], document["metadata"]["name"]): document
             for path in MANIFESTS for document in documents(path) if "metadata" in document}  # fmt: skip
    [trigger] = found["ScaledObject", "worker"]["spec"]["triggers"]
    authentication = found["TriggerAuthentication", trigger["authenticationRef"]["name"]]
    assert found["Deployment", found["ScaledObject", "worker"]["spec"]["scaleTargetRef"]["name"]]
    for reference in authentication["spec"]["secretTargetRef"]:
        assert reference["key"] in found["Secret", reference["name"]]["stringData"]
    deployments = {name: document for (kind, name), document in found.items() if kind == "Deployment"}
    assert deployments.keys() == {"producer", "tracker", "web", "worker"}
    for name, document in deployments.items():
        template = document["spec"]["template"]
        assert template["metadata"]["labels"] == document["spec"]["selector"]["matchLabels"] == {"app": name}
        [container] = template["spec"]["containers"]
        for source in container["envFrom"]:
            assert ("Secret", source["secretRef"]["name"]) in found
