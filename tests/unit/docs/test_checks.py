"""The checks of the documentation catch what they are for; that all is well is for `make lint` to say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = next(parent / "docs" for parent in Path(__file__).parents if (parent / "docs/conf.py").exists())


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


links, troubleshooting, reference = map(load, ("check_links", "check_troubleshooting", "generate_reference"))

CODE = """LIMIT = 3


class Worker:
    def run(self):
        publish(LIMIT)
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "other.md").write_text("# Other\n\n## Two `words`, here\n")
    (tmp_path / "worker.py").write_text(CODE)
    return tmp_path / "page.md"


def faults(page: Path, text: str) -> list[str]:
    page.write_text(text)
    return list(links.check(page, {"test"}, {"OAT_LEASE"}))


@pytest.mark.parametrize(
    "text",
    [
        "[a page](other.md), [a place](other.md#two-words-here), [here](#title)\n\n# Title",
        "[`LIMIT`](worker.py), [`Worker.run`](worker.py#L5), [`publish(LIMIT)`](worker.py#L6)",
        "`make test`, `OAT_LEASE=3`",
        "    [no](link) in code",
        "[elsewhere](https://example.org/)",
    ],
)
def test_what_is_right_passes(page: Path, text: str) -> None:
    assert faults(page, text) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a page](gone.md)", "there is no gone.md"),
        ("[a place](other.md#three-words)", "other.md has no heading #three-words"),
        ("[here](#nowhere)", "no heading #nowhere"),
        ("[`Worker.stop`](worker.py)", "`Worker.stop` is not in worker.py"),
        ("[`Worker.run`](worker.py#L4)", "`Worker.run` is in line(s) [5] of worker.py, not in L4"),
        ("[`publish(LIMIT)`](worker.py#L5)", "`publish(LIMIT)` is in line(s) [6] of worker.py, not in L5"),
        ("[a line](worker.py#L5)", "a link to a line names"),
        ("`src/gone.py`", "there is no file src/gone.py"),
        ("`make nothing`", "there is no target `make nothing`"),
        ("    OAT_LEES=3 oat run", "there is no variable OAT_LEES"),
    ],
)
def test_what_is_wrong_is_named(page: Path, text: str, fault: str) -> None:
    [found] = faults(page, text)
    assert fault in found


def test_line_numbers_are_written_anew(page: Path) -> None:
    page.write_text("[`Worker.run`](worker.py#L1) and [`LIMIT`](worker.py)")
    links.fix(page)
    assert page.read_text() == "[`Worker.run`](worker.py#L5) and [`LIMIT`](worker.py)"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('log.warning("the disk %s is full; %d left", a, b)', True),
        ('raise SettingsError(f"the disk {a} is full; {b} left")', True),
        ('log.warning("the disk %s is empty", a)', False),
        ('raise SettingsError(f"the disk {a} is empty")', False),
        ('log.info("the disk %s is empty", a)', True),
    ],
)
def test_a_warning_without_its_remedy_is_named(tmp_path: Path, code: str, found: bool) -> None:
    (tmp_path / "module.py").write_text(f"def f(a, b):\n    {code}\n")
    page = "**`the disk … is full; … left`** Make room." + " ".join(troubleshooting.WITHOUT_REMEDY)
    named = [line for line in troubleshooting.missing(tmp_path, page) if line.startswith("module.py")]
    assert (named == []) is found


def test_a_reference_that_says_something_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "docs/page.md"
    page.parent.mkdir()
    page.write_text("# Page\n\n<!-- generated: task -->\n<!-- end -->\n\nThe end.\n")
    monkeypatch.setattr(reference, "DOCS", page.parent)
    monkeypatch.setattr(reference, "MAKERS", ())
    monkeypatch.setattr(reference, "MESSAGES", {"task": reference.Task})
    monkeypatch.setattr("sys.argv", ["generate_reference.py", "--check"])
    assert reference.main() == 1
    assert "`width`" not in page.read_text()
    monkeypatch.setattr("sys.argv", ["generate_reference.py"])
    reference.main()
    assert "| `width` | required | integer, ≥ 2 |" in page.read_text()
    monkeypatch.setattr("sys.argv", ["generate_reference.py", "--check"])
    assert reference.main() == 0
