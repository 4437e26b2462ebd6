"""Settings as the services read them."""

from pathlib import Path

from oat.settings import Settings


def test_relative_directories_become_absolute_and_urls_stay():
    assert Settings(target="images").target == str(Path("images").absolute())
    assert Settings(target="s3://bucket/prefix").target == "s3://bucket/prefix"
