"""The container image and the compose file are valid.

`make test-container` builds and runs the image; nothing here runs the compose file as a whole.
"""

import pytest

from helpers.validators import DEPLOY, call


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
