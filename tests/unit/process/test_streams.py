"""The standard streams: how wide lines may be."""

import os

import pytest

from oat.process.streams import MIN_WIDTH, bound_width


@pytest.mark.parametrize("width", ["", "0", "-5", "abc", "²", "٣", "1e3", "99999999", "9" * 30, " 80"])
@pytest.mark.parametrize("name", ["COLUMNS", "LINES", "TERMINAL_WIDTH"])
def test_a_width_that_is_none_is_forgotten(monkeypatch, name, width):
    monkeypatch.setenv(name, width)
    bound_width()
    assert name not in os.environ


@pytest.mark.parametrize(("width", "bounded"), [("1", MIN_WIDTH), ("39", MIN_WIDTH), ("120", 120)])
@pytest.mark.parametrize("name", ["COLUMNS", "TERMINAL_WIDTH"])
def test_lines_are_never_too_narrow_to_be_read(monkeypatch, name, width, bounded):
    monkeypatch.setenv(name, width)
    bound_width()
    assert os.environ[name] == str(bounded)
