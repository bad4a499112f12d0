"""Installed providers: found by entry point, imported when first named, each on its own."""

from __future__ import annotations

import difflib
import inspect
import os
import re
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import EntryPoint
from typing import Any, NamedTuple

from attrs import Factory, define, field, frozen

from callsheet.account import ProviderSettings
from callsheet.errors import PluginError, ProviderConflict, ProviderLoadError, UnknownProvider
from callsheet.installed import entry_points, owner_of
from callsheet.models.base import OperationRequest
from callsheet.spec import HOOKS, Provider

__all__ = ["Call", "ProviderInfo", "Registry", "Wrap", "load_wrap", "offered_hooks", "unknown_hooks"]

PROVIDERS = "callsheet.providers"
WRAPS = "callsheet.wraps"
_NAMES_AN_OBJECT = re.compile(r"\s*[\w.]+\s*:\s*[\w.]+\s*(\[.*\])?\s*")


class Call(NamedTuple):
    """What a wrap is told of the call that it wraps."""

    provider: str
    account: str
    operation: str
    request: OperationRequest


Wrap = Callable[[Call, Awaitable[Any]], Awaitable[Any]]
"""`async def wrap(call, result)`: awaits `result` (or answers by itself), may look at it or replace it."""


@frozen
class ProviderInfo:
    """What is known about an installed provider. `error` says why it can't be loaded, if it can't."""

    name: str
    distribution: str
    version: str
    operations: tuple[str, ...] = ()
    notes: Mapping[str, str] = Factory(dict)
    models: Mapping[str, tuple[str, ...]] = Factory(dict)
    """Models that it suggests, each with the operations that it is for."""
    embedded: bool = False
    missing: tuple[str, ...] = ()
    """Settings that it needs and that the environment does not hold."""
    unknown_hooks: tuple[str, ...] = ()
    """Hooks that this version of callsheet does not know: the plugin is newer, or a name is mistyped."""
    error: str | None = None


@define
class Registry:
    """Every installed provider by name.

    The environment variables CALLSHEET_PROVIDERS and CALLSHEET_WRAPS, lists of entry-point names with commas, restrict
    what may load; an empty one means nothing.
    """

    _points: list[EntryPoint] | None = field(default=None, alias="points")
    _wraps: tuple[Wrap, ...] | None = field(default=None, alias="wraps")
    _classes: dict[str, type[Provider]] = field(factory=dict, init=False)
    _registered: dict[str, type[Provider]] = field(factory=dict, init=False)
    _failures: dict[str, PluginError] = field(factory=dict, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)

    def register(self, name: str, provider: type[Provider]) -> None:
        """Add a provider without installing it: for tests, notebooks and programs that bring their own.

        Raises ProviderLoadError when the class does not fit the contract.
        """
        offered_hooks(provider, name)
        self._registered[name] = provider

    def names(self) -> list[str]:
        """The names of all providers that may load."""
        return sorted({point.name for point in self._offers()} | set(self._registered))

    def loaded(self) -> dict[str, type[Provider]]:
        """The providers whose code is imported already."""
        return {**self._classes, **self._registered}

    def provider(self, name: str) -> type[Provider]:
        """The provider's class, imported now if it was not before.

        Raises UnknownProvider, ProviderConflict or ProviderLoadError. No other provider is touched.
        """
        if (found := self._registered.get(name) or self._classes.get(name)) is not None:
            return found
        with self._lock:
            if (failure := self._failures.get(name)) is not None:
                raise failure  # what failed once in this process would fail again, and take its time
            if name not in self._classes:
                try:
                    self._classes[name] = self._load(name)
                except PluginError as error:
                    if not isinstance(error, UnknownProvider):
                        self._failures[name] = error
                    raise
            return self._classes[name]

    def wraps(self) -> tuple[Wrap, ...]:
        """The wraps around every call, the outermost first, in the order of their names.

        Raises ProviderLoadError for one that does not load: a wrap may be what keeps secrets out of a log.
        """
        with self._lock:
            if self._wraps is None:
                points = sorted(_allowed(entry_points(group=WRAPS), "CALLSHEET_WRAPS"), key=lambda point: point.name)
                self._wraps = tuple(load_wrap(point) for point in points)
            return self._wraps

    def describe(self, environ: Mapping[str, str] | None = None) -> list[ProviderInfo]:
        """All providers with what they offer. Imports them, each guarded: a broken one is listed with its error."""
        return [self._describe(name, os.environ if environ is None else environ) for name in self.names()]

    def embedded(self) -> list[str]:
        """The names of the providers that need no key and no network. To know them, all have to be imported, once."""
        found = []
        for name in self.names():
            with suppress(PluginError):
                if self.provider(name).embedded:
                    found.append(name)
        return found

    def _offers(self) -> list[EntryPoint]:
        with self._lock:
            if self._points is None:
                self._points = _allowed(entry_points(group=PROVIDERS), "CALLSHEET_PROVIDERS")
            return self._points

    def _load(self, name: str) -> type[Provider]:
        # One distribution may be seen twice, by way of two folders on sys.path: that is not a conflict.
        matching = {(owner_of(point)[0], point.value): point for point in self._offers() if point.name == name}
        if not matching:
            raise self._unknown(name)
        if len(matching) > 1:
            owners = " and ".join(sorted(f"{owner} ({value})" for owner, value in matching))
            raise ProviderConflict(
                f"two distributions offer a provider named '{name}': {owners}; uninstall one of them", provider=name
            )
        [point] = matching.values()
        provider = _import(point, "CALLSHEET_PROVIDERS")
        try:
            offered_hooks(provider, name)
        except Exception as error:
            if isinstance(error, PluginError):
                raise
            raise ProviderLoadError(f"provider '{name}': {_odd(error)}", provider=name) from error
        return provider  # type: ignore[no-any-return]  # offered_hooks has checked that it is a Provider class

    def _unknown(self, name: str) -> UnknownProvider:
        names = self.names()
        close = difflib.get_close_matches(name, names, 1)
        guess = f" Did you mean '{close[0]}'?" if close else ""
        found = ", ".join(names) or "none"
        # A mistyped name is not turned into a package to install: anybody could have put one there.
        how = "" if close else f" Providers are packages, mostly named callsheet-NAME: is callsheet-{name} installed,"
        how += "" if close else " and does CALLSHEET_PROVIDERS, if it is set, list it?"
        return UnknownProvider(
            f"no provider named '{name}' is installed.{guess} Installed: {found}.{how}",
            provider=name,
        )

    def _describe(self, name: str, environ: Mapping[str, str]) -> ProviderInfo:
        owners = dict.fromkeys(owner_of(point) for point in self._offers() if point.name == name)
        distribution, version = next(iter(owners), ("(registered)", ""))
        if len(owners) > 1:
            distribution, version = " and ".join(sorted(" ".join(owner).strip() for owner in owners)), ""
        try:
            provider = self.provider(name)
            return ProviderInfo(name, distribution, version, **_facts(provider, name, environ))
        except PluginError as error:  # a stranger's plugin is broken: it is listed, and the others are, too
            return ProviderInfo(name, distribution, version, error=str(error))
        except Exception as error:
            return ProviderInfo(name, distribution, version, error=f"provider '{name}': {_odd(error)}")


def _facts(provider: type[Provider], name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """What there is to say of a provider that loads."""
    kind = provider.Settings
    open_ = [field for field in kind.required if not kind.model_fields[field].default]
    absent = [kind.env.get(field, field) for field in open_ if not environ.get(kind.env.get(field, ""))]
    return {
        "operations": tuple(hook for hook in HOOKS if hook in offered_hooks(provider, name)),
        "notes": {str(operation): str(note) for operation, note in notes_of(provider).items()},
        "models": {str(model): tuple(operations) for model, operations in provider.models.items()},
        "embedded": bool(provider.embedded),
        "missing": tuple(absent),
        "unknown_hooks": unknown_hooks(provider),
    }


def _odd(error: Exception) -> str:
    return f"its class can't be read: {type(error).__name__}: {error}"


def notes_of(provider: type[Provider]) -> dict[str, str]:
    """A provider's notes. What a class says of a hook does not hold for one that a derived class put in its place."""
    lineage = provider.__mro__
    speaker = next(number for number, kind in enumerate(lineage) if "notes" in vars(kind))
    replaced = {name for kind in lineage[:speaker] for name in vars(kind)}
    return {operation: note for operation, note in provider.notes.items() if operation not in replaced}


def offered_hooks(provider: object, name: str) -> frozenset[str]:
    """The operations that a provider class implements. Raises ProviderLoadError when it does not fit the contract."""
    if not (isinstance(provider, type) and issubclass(provider, Provider)):
        raise ProviderLoadError(
            f"provider '{name}': the entry point must name a class derived from callsheet.Provider, not {provider!r:.80}",
            provider=name,
        )
    kind: Any = provider  # a stranger's class: what its annotations promise need not be so
    if not (isinstance(kind.Settings, type) and issubclass(kind.Settings, ProviderSettings)):
        raise ProviderLoadError(
            f"provider '{name}': {provider.__name__}.Settings must be a class derived from callsheet.ProviderSettings",
            provider=name,
        )
    for base in kind.__mro__:
        needed = vars(base).get("Settings", ProviderSettings)
        if not issubclass(kind.Settings, needed):
            raise ProviderLoadError(
                f"provider '{name}': {provider.__name__}.Settings must derive from {needed.__name__}, with which"
                f" {base.__name__} works",
                provider=name,
            )
    for table in ("notes", "models"):
        if not isinstance(getattr(kind, table), Mapping):
            raise ProviderLoadError(f"provider '{name}': {provider.__name__}.{table} must be a dict", provider=name)
    return _checked_hooks(kind, name)


@lru_cache(maxsize=256)
def _checked_hooks(provider: Any, name: str) -> frozenset[str]:
    offered = set()
    for hook in HOOKS:
        member = inspect.getattr_static(provider, hook)
        if member is not vars(Provider)[hook]:
            if problem := _misfit(member):
                raise ProviderLoadError(f"provider '{name}': {provider.__name__}.{hook} {problem}", provider=name)
            offered.add(hook)
    return frozenset(offered)


def _misfit(member: Any) -> str | None:
    if not hasattr(member, "callsheet_impl"):
        return "overrides a hook without being marked: put @hookimpl (from callsheet) above it"
    if not inspect.iscoroutinefunction(member):
        return "must be an `async def`"
    parameters = list(inspect.signature(member).parameters.values())
    plain = all(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in parameters)
    names = [p.name for p in parameters]
    if not plain or names != ["self", "request", "io"]:
        return (
            f"has the arguments ({', '.join(names)}); they must be exactly (self, request, io), without defaults."
            " A plugin that needs more was written for a newer callsheet: upgrade callsheet"
        )
    return None


def unknown_hooks(provider: type[Provider]) -> tuple[str, ...]:
    """What is marked as a hook and is no operation of this version, each with what may have been meant."""
    marked = {
        name for base in provider.__mro__ for name, member in vars(base).items() if hasattr(member, "callsheet_impl")
    }
    unknown = sorted(marked - set(HOOKS))
    guesses = {name: difflib.get_close_matches(name, HOOKS, 1) for name in unknown}
    return tuple(f"{name} (did you mean {guesses[name][0]}?)" if guesses[name] else name for name in unknown)


def _allowed(points: Iterable[EntryPoint], variable: str) -> list[EntryPoint]:
    if (listed := os.environ.get(variable)) is None:
        return list(points)
    names = {name.strip() for name in listed.split(",")}
    return [point for point in points if point.name in names]


def load_wrap(point: EntryPoint) -> Wrap:
    """Import a wrap. Raises ProviderLoadError."""
    wrap: Wrap = _import(point, "CALLSHEET_WRAPS")
    if not (inspect.iscoroutinefunction(wrap) or inspect.iscoroutinefunction(getattr(wrap, "__call__", None))):  # noqa: B004  an object may be the wrap
        raise ProviderLoadError(f"the wrap '{point.name}' ({point.value}) must be an `async def wrap(call, result)`")
    return wrap


def _import(point: EntryPoint, variable: str) -> Any:
    owner, version = owner_of(point)
    if not _NAMES_AN_OBJECT.fullmatch(point.value):
        raise ProviderLoadError(
            f"'{point.name}' of {owner} {version}: its entry point is {point.value!r} where 'package:Class' is wanted",
            provider=point.name,
        )
    try:
        return point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, a Rust extension's panic, a test framework's Skipped are no Exception
        raise ProviderLoadError(
            f"'{point.name}' ({point.value} of {owner} {version}) does not load: {type(error).__name__}: {error}."
            f" Other plugins are not affected; upgrade or uninstall {owner}, or leave it out of {variable}.",
            provider=point.name,
        ) from error
