"""Settings as the services read them."""

from pathlib import Path

import pytest

from oat.settings import MAX_INTEGER, MAX_SIDE, Settings, SettingsError, load_settings


def test_relative_directories_become_absolute_and_urls_stay():
    assert Settings(target="images").target == str(Path("images").absolute())
    assert Settings(target="s3://bucket/prefix").target == "s3://bucket/prefix"


TOO_LARGE = {"SIDE": MAX_SIDE + 1, "PIXELS": MAX_INTEGER + 1, "ITERATIONS": MAX_INTEGER + 1}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_limit_that_a_library_cannot_do_is_refused_by_name(monkeypatch, name):
    monkeypatch.setenv(f"OAT_MAX_{name}", str(TOO_LARGE[name] - 1))
    assert getattr(load_settings().limits, name.lower()) == TOO_LARGE[name] - 1
    for value in (TOO_LARGE[name], 10**30, 0, -1, "1e6", "nan"):
        monkeypatch.setenv(f"OAT_MAX_{name}", str(value))
        with pytest.raises(SettingsError, match=f"^OAT_MAX_{name}: ") as caught:
            load_settings()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "normalized"), [("", ""), ("/", ""), ("oat", "/oat"), ("/a/b-c_1/", "/a/b-c_1")]
)
def test_a_root_path_has_a_slash_in_front_and_none_behind(given, normalized):
    assert Settings(root_path=given).root_path == normalized


@pytest.mark.parametrize("names", ["*", "*.example.org", "a b", "http://a", "a:8080", "a,,b/c", "[::1]:80"])
def test_allowed_hosts_are_names_that_a_request_may_have(monkeypatch, names):
    monkeypatch.setenv("OAT_ALLOWED_HOSTS", names)
    with pytest.raises(SettingsError, match=r"^OAT_ALLOWED_HOSTS: expected names like .*, without port"):
        load_settings()
    monkeypatch.setenv("OAT_ALLOWED_HOSTS", "Gallery.example.org, 192.0.2.1,[2001:db8::1],")
    assert load_settings().allowed_hosts == ("gallery.example.org", "192.0.2.1", "[2001:db8::1]")
