"""The faults of `make mutants` can be planted: their lines and their tests are still there."""

import re

import pytest

from helpers.mutants import ROOT, Mutant, load

MUTANTS = load()


def test_each_rule_is_named_once() -> None:
    assert len({mutant.rule for mutant in MUTANTS}) == len(MUTANTS) > 30


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_a_mutant_can_be_planted_and_names_a_test(mutant: Mutant) -> None:
    planted = mutant.plant((ROOT / mutant.module).read_text())
    compile(planted, mutant.module, "exec")
    path, _, name = mutant.test.partition("::")
    assert re.search(rf"^def {re.escape(name.partition('[')[0])}\(", (ROOT / path).read_text(), re.MULTILINE)
