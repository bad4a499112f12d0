"""The mutants are modules that load, with a provider in them that is not the good one."""

from __future__ import annotations

import sys

import pytest
from core.tests.kit_mutants_unseen import ACME, Mutant, loaded, mutated
from core.tests.kit_mutants_unseen_acme import ACME_MUTANTS
from core.tests.kit_mutants_unseen_openai import OPENAI_MUTANTS

from callsheet import Provider

MUTANTS = (*ACME_MUTANTS, *OPENAI_MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_loads_and_is_another(mutant: Mutant):
    module = loaded(mutant)
    try:
        kind = getattr(module, mutant.class_name)
        assert issubclass(kind, Provider)
        assert kind.__module__ == module.__name__
        assert mutated(mutant) != ACME.read_text(encoding="utf-8")
    finally:
        del sys.modules[module.__name__]


def test_no_two_are_the_same():
    assert len({mutant.name for mutant in MUTANTS}) == len({mutated(mutant) for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.fault.endswith(".") for mutant in MUTANTS)
