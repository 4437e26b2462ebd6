"""A chapter is read as a reader reads it."""

from tutorial.chapter import Picture, Step, read_chapter

CHAPTER = """\
# Title

In terminal 2:

```console
$ sleep 100
$ cat \\
  file
one

two
```

And here:

```console
three
^C
```

[![A page](images/page.webp)](http://127.0.0.1:8080/)

In terminal 1:

<!-- counts vary -->

```console
$ wc file
3
```

```python
$ not typed
```
"""


def chapter(tmp_path):
    file = tmp_path / "1-one.md"
    file.write_text(CHAPTER)
    return read_chapter(file)


def test_commands_with_their_lines_and_terminals(tmp_path):
    steps = [each for each in chapter(tmp_path) if isinstance(each, Step)]
    assert [(each.number, each.terminal, each.typed) for each in steps] == [
        (6, 2, "sleep 100"), (7, 2, "cat \\\n  file"), (17, 2, None), (18, 2, "^C"), (28, 1, "wc file"),
    ]  # fmt: skip
    assert [(line.number, line.text) for line in steps[1].lines] == [(9, "one"), (10, ""), (11, "two")]
    assert steps[1].behind == 8


def test_a_command_that_is_gone_on_with_stays_in_the_foreground(tmp_path):
    steps = [each for each in chapter(tmp_path) if isinstance(each, Step)]
    assert [each.ends for each in steps] == [True, False, False, True, True]


def test_only_the_block_behind_the_comment_has_counts_that_vary(tmp_path):
    steps = [each for each in chapter(tmp_path) if isinstance(each, Step)]
    assert [each.counts_vary for each in steps] == [False, False, False, False, True]


def test_a_picture_is_of_the_page_that_it_links_to(tmp_path):
    pictures = [each for each in chapter(tmp_path) if isinstance(each, Picture)]
    assert pictures == [Picture(21, tmp_path / "images" / "page.webp", "http://127.0.0.1:8080/")]
