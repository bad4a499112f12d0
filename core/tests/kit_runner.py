"""Running single checks of the kit against a broken adapter, without a pytest in between."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from callsheet import PluginError
from callsheet.testing import FakeUpstream, Wire
from callsheet.testing.kit.bench import Bench
from callsheet.testing.kit.catalogue import Check, checks_of
from callsheet.testing.kit.provider_tests import ProviderTests

__all__ = ["CHECKS", "bench_of", "complaint"]

CHECKS: dict[str, tuple[str, Check]] = {check.id: (name, check) for name, check in checks_of(ProviderTests).items()}
"""Each check by its id, with the name of its test."""


def bench_of(kind: Any, wire: type[Wire] = FakeUpstream) -> Bench:
    return Bench("mutant", kind, wire)


def complaint(bench: Bench, id: str) -> str | None:
    """What a check has to say of a provider; None if it passes, or does not apply."""
    name, check = CHECKS[id]
    if check.vendor and bench.kind.embedded:
        return None
    operations: list[str | None] = [None]
    if check.over is not None:
        try:
            operations = [operation for operation in bench.offered if check.over(operation)]
        except PluginError:
            return None  # the group S tells of it
    for operation in operations:
        with patching() as monkeypatch:
            arguments = {"bench": bench, "monkeypatch": monkeypatch, "operation": operation}
            test = getattr(ProviderTests(), name)
            wanted = test.__func__.__code__.co_varnames[1 : test.__func__.__code__.co_argcount]
            try:
                test(**{argument: arguments[argument] for argument in wanted})
            except pytest.skip.Exception:
                continue
            except (Exception, pytest.fail.Exception) as error:
                return f"{operation or 'the provider'}: {type(error).__name__}: {error}"
    return None


@contextlib.contextmanager
def patching() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield monkeypatch
