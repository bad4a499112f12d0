"""How checks get their provider, and when they do not apply."""

from __future__ import annotations

import importlib
import inspect
import os
import traceback
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from callsheet import OPERATIONS, PluginError, Provider
from callsheet.installed import entry_points
from callsheet.registry import PROVIDERS
from callsheet.testing.kit.bench import Bench, wire_of
from callsheet.testing.kit.catalogue import Check, checks_of
from callsheet.testing.wire import Wire

__all__ = ["KitTests", "provider_under_test"]


class KitTests:
    """What all groups of checks have in common."""

    # httpcore leaves a generator to trio's garbage collection when a stream is left early; the connection is closed.
    pytestmark = pytest.mark.filterwarnings(r"ignore:Async generator 'http(x|core)2?\._:ResourceWarning")

    provider: ClassVar[str | type[Provider] | None] = None
    wire: ClassVar[type[Wire] | None] = None
    offers: ClassVar[Collection[str] | None] = None
    _benches: ClassVar[dict[tuple[type, str], Bench]] = {}

    def __init_subclass__(cls) -> None:
        for base in cls.__mro__[1:]:
            for name, test in vars(base).items():
                fixed = hasattr(test, "callsheet_check") or (base is KitTests and name == "pytest_generate_tests")
                if fixed and inspect.getattr_static(cls, name) is not test:
                    raise TypeError(
                        f"{cls.__name__}.{name} would override a check. Checks can't be changed or left out; one that can't"
                        " pass goes into known_failures of the wire, with the reason"
                    )

    @classmethod
    def bench_of(cls, config: pytest.Config) -> Bench:
        """The provider under test: that of the class, or of the command line."""
        name = cls.provider_name(config)
        if (cls, name) not in cls._benches:
            named = config.getoption("wire", None)
            wire = _wire(named) if cls.wire is None and named is not None else cls.wire
            bench = _bench(name, cls.provider, wire)
            cache: pytest.Cache | None = getattr(config, "cache", None)
            told = os.environ.get("MYPY_CACHE_DIR")  # as mypy itself heeds it
            bench.cache = Path(told) if told else cache.mkdir("callsheet-mypy") if cache is not None else None
            cls._benches[cls, name] = bench
        return cls._benches[cls, name]

    @classmethod
    def provider_name(cls, config: pytest.Config) -> str:
        if isinstance(cls.provider, str):
            return cls.provider
        if cls.provider is not None:
            return _installed_as(cls.provider) or cls.provider.__name__.lower()
        named: str | None = config.getoption("provider", None)
        if named is None:
            raise pytest.UsageError("say which provider to check: --provider NAME (callsheet providers lists them)")
        return named

    @classmethod
    def failures(cls, config: pytest.Config) -> Mapping[str, str]:
        """The checks that are known to fail, and why."""
        kind = cls.bench_of(config).wire_kind
        known = kind.known_failures if kind is not None else {}
        ids = {check.id for check in checks_of(cls).values()}
        for name, reason in known.items():
            id, _, operation = name.partition(" ")
            if id not in ids or (operation and operation not in OPERATIONS) or not str(reason).strip():
                raise pytest.UsageError(
                    f"known_failures of {kind.__name__ if kind else ''}: {name!r}: {reason!r}; wanted is a check's id, and"
                    ' perhaps an operation ("W05 edit"), with the reason'
                )
        return known

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Ask a check of each operation that it is for."""
        check: Check | None = getattr(metafunc.function, "callsheet_check", None)
        if check is None or check.over is None:
            return
        try:
            operations: list[Any] = [name for name in self.bench_of(metafunc.config).offered if check.over(name)]
        except PluginError:
            operations = []
        nothing = pytest.param(
            "", marks=pytest.mark.skip(reason="none of the operations that this is about is offered")
        )
        metafunc.parametrize("operation", operations or [nothing])

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, request: pytest.FixtureRequest) -> Bench:
        return cls.bench_of(request.config)

    @pytest.fixture(autouse=True)
    def _applies(self, request: pytest.FixtureRequest, bench: Bench) -> None:
        check: Check | None = getattr(request.function, "callsheet_check", None)
        if check is None or (check.group == "shape" and check.over is None):
            return
        if bench.kind.embedded and check.vendor:
            pytest.skip("the provider is embedded: there is no vendor behind it")
        if bench.wire_kind is None and not bench.kind.embedded:
            if check.group == "shape":
                return
            pytest.skip(
                "no vendor to talk to: ship a Wire (an entry point in the group callsheet.wires), or name one by --wire"
            )
        callspec = getattr(request.node, "callspec", None)
        operation = callspec.params.get("operation") if callspec is not None else None
        if not operation or check.id == "W01" or bench.kind.embedded:
            return
        if _is_asked(request, "W01", operation) and _does_not_work(bench, operation):
            pytest.skip(f"not asked: {operation} does not work at all; see W01")


def _is_asked(request: pytest.FixtureRequest, id: str, operation: str) -> bool:
    """Whether a check is part of this run, for an operation: else nothing would tell what it has to tell."""
    for item in request.session.items:
        check = getattr(getattr(item, "function", None), "callsheet_check", None)
        if check is not None and check.id == id and f"[{operation}]" in item.name:
            return True
    return False


def _does_not_work(bench: Bench, operation: str) -> bool:
    """Whether W01 fails for an operation: then all else about it would fail, too, and say less."""
    from callsheet.testing.kit.sent import asked

    if operation not in bench.working:
        try:
            bench.working[operation] = asked(bench, operation).error is None
        except pytest.skip.Exception:
            bench.working[operation] = True  # it can't be asked, and the check will say why
        except (Exception, pytest.fail.Exception):
            bench.working[operation] = False
    return not bench.working[operation]


def provider_under_test(name: str, wire: str | None = None) -> Bench:
    """An installed provider and its vendor's side. pytest.UsageError for what is not there, or does not load."""
    return _bench(name, None, _wire(wire) if wire is not None else None)


def _bench(name: str, given: str | type[Provider] | None, wire: type[Wire] | None) -> Bench:
    points = [point for point in entry_points(PROVIDERS) if point.name == name]
    point = points[0] if points else None
    if isinstance(given, type):
        return Bench(name, given, wire or wire_of(name), point)
    if point is None:
        raise pytest.UsageError(f"no provider named {name!r} is installed; `callsheet providers` lists those that are")
    try:
        kind = point.load()
    except Exception as error:
        raise pytest.UsageError(
            f"S01: {name} ({point.value}) does not load: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, Provider)):
        raise pytest.UsageError(f"S01: {name} ({point.value}) is no class derived from callsheet.Provider")
    try:
        return Bench(name, kind, wire or wire_of(name), point)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{where.filename.rpartition('/')[2]}:{where.lineno}"
        raise pytest.UsageError(
            f"the wire of {name} does not load ({place}): {type(error).__name__}: {error}"
        ) from error


def _wire(named: str) -> type[Wire]:
    module, _, name = named.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise pytest.UsageError(f"--wire {named}: {error}; it is spelled MODULE:CLASS") from error
    if not (isinstance(found, type) and issubclass(found, Wire)):
        raise pytest.UsageError(f"--wire {named}: that is no class derived from callsheet.testing.Wire")
    kind: type[Wire] = found
    return kind


def _installed_as(kind: type[Provider]) -> str | None:
    """The name by which a class is installed."""
    value = f"{kind.__module__}:{kind.__qualname__}"
    for point in entry_points(PROVIDERS):
        module = point.module
        if point.value == value or (point.attr == kind.__name__ and kind.__module__.startswith(module)):
            return point.name
    return None
