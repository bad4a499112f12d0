"""Adapters that are wrong in one way each, written by somebody who has not seen the kit: what it should catch.

The mutants themselves are in `kit_mutants_unseen_acme` (Acme's source with other words in places) and in
`kit_mutants_unseen_openai` (classes derived from the adapter of OpenAI's wire).
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Literal

from attrs import frozen

__all__ = ["ACME", "Mutant", "loaded", "mutated"]

ACME = Path(__file__).parents[2] / "docs" / "callsheet-acme" / "src" / "callsheet_acme" / "__init__.py"


@frozen
class Mutant:
    """One broken adapter. `fault`: what a user suffers.

    Its provider class is `Acme` where `base` is "acme", which is changed by `substitutions`; else `Mutant`, in `source`.
    """

    name: str
    fault: str
    source: str = ""
    substitutions: tuple[tuple[str, str], ...] = ()
    base: Literal["acme", "openai"] = "acme"

    @property
    def class_name(self) -> str:
        return "Acme" if self.base == "acme" else "Mutant"


def mutated(mutant: Mutant) -> str:
    """The source of the module with the broken adapter. AssertionError if the good one is not what it was."""
    if mutant.base == "openai":
        assert mutant.source
        return mutant.source
    source = ACME.read_text(encoding="utf-8")
    for old, new in mutant.substitutions:
        assert source.count(old) == 1, f"{mutant.name}: {old!r} is there {source.count(old)} times"
        source = source.replace(old, new)
    return source


def loaded(mutant: Mutant) -> ModuleType:
    """The broken adapter's module, executed anew. It is known to `sys.modules`: pydantic and pickle look there."""
    module = ModuleType(f"mutant_{mutant.base}_{mutant.name}")
    sys.modules[module.__name__] = module
    exec(compile(mutated(mutant), f"<{module.__name__}>", "exec"), module.__dict__)
    return module
