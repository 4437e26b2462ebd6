"""The exercises: broken, each fails its check by its own harm; without its fault it passes. On copies of the tree.

EXERCISE_ROUNDS says how often.
"""

import os
import re
import signal
import subprocess
import sys

import pytest

from helpers.exercises import HALF_MENDED, MENDED_OTHERWISE, Variant
from helpers.mutants import ROOT, copy_tree, environment
from helpers.validators import call
from helpers.waiting import wait_until

sys.path.append(str(ROOT / "exercises"))

from catalogue import load

EXERCISES = load()

ROUNDS = range(int(os.environ.get("EXERCISE_ROUNDS") or 1))

SERVERS = {2: "vhost", 4: "vhost", 8: "vhost", 10: "mariadb"}
"""The fixtures that exercises need: their private servers are shared here."""

HARM, UNPLANTED, UNKNOWN, INTERRUPTED = 1, 2, 3, 130

HARMS = {
    1: r"16 of 40 tasks were pushed and never recorded",
    2: r"\d+ of 22 tasks were lost: acknowledged when they arrived",
    3: r"4 of 4 messages ran as code: 2 in the worker, 2 in the tracker",
    4: r"(3\d|40) of 40 results were lost: the database refused them",
    5: r"12 of 12 tasks have another picture when another worker renders them",
    6: r"21 of 21 results were counted twice",
    7: r"One worker took 200 of 200 tasks",
    8: r"1 of 1 workers was taken for dead while it rendered",
    9: r"5 of 40 messages cannot be read, and come back again and again, \d{3,} times .* 0 are done",
    10: r"1 of 2 transactions was thrown away",
    11: r"[1-9]\d* of [1-9]\d* images are half images: 16384 bytes",
    12: r"16 of \d+ tasks were pushed twice",
}

each_exercise = pytest.mark.parametrize("number", HARMS)
several_rounds = pytest.mark.parametrize("_round", ROUNDS)


@pytest.fixture(scope="session")
def right(tmp_path_factory):
    """A copy of the tree as it is."""
    return copy_tree(ROOT, tmp_path_factory.mktemp("right") / "tree")


@pytest.fixture
def check(request):
    """Check an exercise in a tree; return the exit code, and what is said in one line."""

    def run(number, tree):
        options = []
        if name := SERVERS.get(number):
            server = request.getfixturevalue(name)
            options = (
                ["--broker-url", server] if name == "vhost" else ["--database-url", server.database(unique())]
            )
        # Its processes share the bytecode: nobody edits the copy any more.
        variables = environment(tree) | {"PYTHONDONTWRITEBYTECODE": ""}
        done = exercises(tree, "check", number, *options, **variables)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def unique():
        return re.sub(r"\W", "", os.urandom(4).hex())

    return run


def exercises(tree, *arguments, **variables):
    command = [sys.executable, tree / "exercises" / "run.py", *map(str, arguments)]
    return subprocess.run(
        command, cwd=tree, env=os.environ | variables, capture_output=True, text=True, timeout=240, check=False
    )


def test_there_are_twelve():
    assert list(EXERCISES) == list(HARMS) == list(range(1, 13))
    for exercise in EXERCISES.values():
        assert len(exercise.story.splitlines()) <= 12
        assert f"Look at: {exercise.fault.module}" in exercise.story
        module = ROOT / exercise.fault.module
        compile(exercise.fault.plant(module.read_text()), module, "exec")


@several_rounds
@each_exercise
def test_a_broken_tree_fails_by_its_own_harm(number, check, tmp_path, _round):
    code, said = check(number, copy_tree(ROOT, tmp_path / "tree", EXERCISES[number].fault))
    assert re.match(f"Not yet. {HARMS[number]}", said), said
    assert code == HARM


@several_rounds
@each_exercise
def test_a_solved_tree_passes(number, check, right, _round):
    code, said = check(number, right)
    assert said.startswith("Mended. "), said
    assert code == 0


@pytest.mark.long
@several_rounds
@pytest.mark.parametrize("variant", HALF_MENDED, ids=Variant.name)
def test_a_tree_that_is_half_mended_fails_with_the_reason(variant, check, tmp_path, _round):
    code, said = check(variant.number, copy_tree(ROOT, tmp_path / "tree", variant.fault))
    assert re.match("Not yet. .*" + variant.said, said), said
    assert code == HARM


@pytest.mark.long
@several_rounds
@pytest.mark.parametrize("variant", MENDED_OTHERWISE, ids=Variant.name)
def test_another_solution_that_is_right_passes(variant, check, tmp_path, _round):
    code, said = check(variant.number, copy_tree(ROOT, tmp_path / "tree", variant.fault))
    assert said.startswith("Mended. "), said
    assert code == 0


@pytest.fixture
def clone(tmp_path):
    """A clone of the repository, and its commands."""
    tree = copy_tree(ROOT, tmp_path / "tree")
    (tree / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "all")):
        done = call(
            "git", "-C", tree, *identity, *words, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null"
        )
        assert done.returncode == 0, done.stderr
    return tree


def said(tree, *arguments, code=0, **variables):
    done = exercises(tree, *arguments, **environment(tree) | variables)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def changed(tree):
    return call("git", "-C", tree, "status", "--porcelain").stdout


def test_planted_mended_and_put_back(clone):
    """As a learner goes through them: one is mended by hand, one is solved, all is put back."""
    module = clone / EXERCISES[11].fault.module
    right = module.read_text()
    assert " ".join(EXERCISES[11].story.split()) in " ".join(said(clone, "exercise", 11).split())
    assert changed(clone) == f" M {module.relative_to(clone)}\n"
    assert re.search(r"11 +A file seen half written +planted\n", said(clone, "exercise"))
    assert "os.replace" in said(clone, "hint")
    module.write_text(f"{right}\nmine = 1\n")
    assert "you have begun to mend it" in said(clone, "exercise", 12, code=UNPLANTED)
    assert said(clone, "check").startswith("Mended.")
    assert "Your version is in .exercise.11.patch" in said(clone, "exercise", 0)
    assert "+mine = 1" in (clone / ".exercise.11.patch").read_text()
    assert re.search(r"11 +A file seen half written +mended\n", said(clone, "exercise"))
    said(clone, "exercise", 12)
    said(clone, "exercise", 10)  # what is not touched is put back
    assert changed(clone) == " M src/oat/records/results.py\n"
    solution = said(clone, "solve")
    assert re.search(r"\n\+ +images = .* for key in sorted\(by_key\)\]\n", solution)
    assert "in the order of their keys" in solution
    assert changed(clone) == ""
    said(clone, "exercise", 0)
    assert re.search(r"10 +A deadlock of two updaters +solution shown\n", said(clone, "exercise"))
    for command in ("check", "hint", "solve"):
        answer = said(clone, command, code=UNPLANTED)
        assert answer.startswith("No exercise is planted: make exercise N=3 plants one"), answer
    assert said(clone, "solve", 3, code=UNPLANTED).startswith("Exercise 3 is not planted: make exercise N=3")


def test_a_tree_that_cannot_be_loaded_is_named_and_put_back(clone):
    said(clone, "exercise", 11)
    module = clone / EXERCISES[11].fault.module
    with module.open("a") as file:
        file.write("def mine(:\n")
    for command in (("check",), ("exercise", 0)):
        answer = said(clone, *command, code=UNKNOWN)
        assert module.name in answer
        assert "SyntaxError" in answer
        assert "git stash" in answer
    assert call("git", "-C", clone, "-c", "user.name=t", "-c", "user.email=t@localhost", "stash").returncode == 0
    assert "src/ is as it was" in said(clone, "exercise", 0)


def test_each_exercise_keeps_a_version_of_its_own(clone):
    for number in (11, 12):
        said(clone, "exercise", number)
        with (clone / EXERCISES[number].fault.module).open("a") as module:
            module.write(f"mine = {number}\n")
        assert f".exercise.{number}.patch" in said(clone, "exercise", 0)
    for number in (11, 12):
        assert f"+mine = {number}\n" in (clone / f".exercise.{number}.patch").read_text()


def test_an_interrupted_check_says_so_in_one_line(right, tmp_path):
    variables = os.environ | environment(right) | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, right / "exercises" / "run.py", "check", "3"]
    with subprocess.Popen(
        command, cwd=right, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        wait_until(lambda: list(tmp_path.glob("*/system/*.log")), "a service of the check")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (INTERRUPTED, "Interrupted.\n")
    assert not list(tmp_path.iterdir())


def test_nothing_is_planted_over_changes(clone):
    (clone / "src" / "oat" / "new.py").write_text("")
    answer = said(clone, "exercise", 3, code=UNPLANTED)
    assert "There are changes of your own in src/" in answer
    assert "src/oat/new.py" in answer
    assert changed(clone) == "?? src/oat/new.py\n"


def test_it_says_what_is_missing(clone, right):
    assert "git is not installed" in said(clone, "exercise", 3, code=UNPLANTED, PATH="/nowhere")
    assert "need a clone" in said(right, "exercise", 3, code=UNPLANTED)
    assert "There is no exercise 13" in said(clone, "exercise", 13, code=UNPLANTED)
    assert changed(clone) == ""
