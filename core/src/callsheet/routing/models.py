"""The model names that callers may say, and what stands behind each: a group of deployments."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from attrs import define, field

from callsheet.routing.backend import Backend
from callsheet.routing.deployment import Deployment
from callsheet.routing.group import Group
from callsheet.routing.policy import Routing

__all__ = ["Models", "matches"]

_MOST_UNIONS = 64


def matches(pattern: str, name: str) -> str | None:
    """What the `*` of a pattern stands for in a name; "" where both are the same; None if they don't fit."""
    if "*" not in pattern:
        return "" if pattern == name else None
    head, _, tail = pattern.partition("*")
    if len(name) <= len(head) + len(tail) or not (name.startswith(head) and name.endswith(tail)):
        return None
    return name[len(head) : len(name) - len(tail)]


@define(eq=False)
class Models:
    """Groups by name. A name with a `*` means all names that fit; of several that fit the one with more letters counts."""

    routing: Routing = field(factory=Routing)
    _groups: dict[str, Group] = field(factory=dict, init=False, repr=False)
    _patterns: list[Group] = field(factory=list, init=False, repr=False)
    _aliases: dict[str, str] = field(factory=dict, init=False, repr=False)
    _unions: dict[tuple[str, ...], Group] = field(factory=dict, init=False, repr=False)
    _backends: dict[tuple[object, ...], Backend] = field(factory=dict, init=False, repr=False)
    _names: dict[tuple[str, str | None], str] = field(factory=dict, init=False, repr=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)

    def set(self, name: str, deployments: Iterable[Deployment]) -> Group:
        """Let a name stand for deployments. What is known of how they do stays; so do calls that are under way."""
        backends = [self._backend(deployment) for deployment in deployments]
        group = Group(name, tuple(dict.fromkeys(backends)), self.routing.strategy)
        old = self._groups.get(name)
        for backend in old.backends if old else ():
            backend.groups.remove(old)
        for backend in group.backends:
            backend.groups.append(group)
        ejected = [backend for backend in group.backends if backend.health.ejected_until is not None]
        ejected.sort(key=lambda backend: backend.health.ejected_until or 0.0)
        for backend in ejected[: max(0, len(ejected) - len(group.backends) // 2)]:
            backend.health.release()  # where few are left at most half of them may be left alone
        self._groups[name] = group
        self._unions.clear()
        self._patterns = sorted(
            (group for name, group in self._groups.items() if "*" in name),
            key=lambda group: len(group.name),
            reverse=True,
        )
        self._names = {}
        for known, each in self._groups.items():
            for backend in each.backends:
                self._names.setdefault((backend.deployment.account.id, backend.deployment.model), known)
        return group

    def alias(self, alias: str, name: str) -> None:
        """Let a further name stand for what `name` stands for."""
        self._aliases[alias] = self._aliases.get(name, name)

    def find(self, name: str) -> tuple[Group, str | None] | None:
        """The group that a name means, and what the `*` in the group's own stands for, if there is one."""
        name = self._aliases.get(name, name)
        if (group := self._groups.get(name)) is not None:
            return group, None
        for group in self._patterns:
            if part := matches(group.name, name):
                return group, part
        return None

    def union(self, groups: Sequence[Group]) -> Group:
        """One group of all that are in these. It goes by the name of the first, whose fallbacks and retries it has."""
        groups = sorted(set(groups), key=lambda group: group.name)
        key = tuple(group.name for group in groups)
        if (found := self._unions.get(key)) is None:
            backends = dict.fromkeys(backend for group in groups for backend in group.backends)
            found = Group(key[0], tuple(backends), self.routing.strategy)
            if len(self._unions) < _MOST_UNIONS:  # callers choose which
                self._unions[key] = found
        return found

    def name_of(self, account: str | None, model: str | None) -> str | None:
        """What callers call a model at an account; None for one that has no name here."""
        if account is None or model is None:
            return None
        if (name := self._names.get((account, model))) is not None and "*" not in name:
            return name
        for group in self._patterns:
            for backend in group.backends:
                deployment = backend.deployment
                if deployment.account.id == account and (part := matches(deployment.model or "*", model)):
                    return group.name.replace("*", part, 1)
        return None

    def deployments(self, name: str) -> tuple[Deployment, ...]:
        """What a name stands for; nothing if there is no such name."""
        found = self.find(name)
        return tuple(backend.deployment.of(found[1]) for backend in found[0].backends) if found else ()

    def items(self) -> Iterator[tuple[str, tuple[Deployment, ...]]]:
        """Each name, aliases included, with its deployments."""
        for name in self:
            group, _ = self.find(name) or (None, None)
            yield name, tuple(backend.deployment for backend in group.backends) if group else ()

    def backends(self) -> list[Backend]:
        """All there are, each once."""
        return list(dict.fromkeys(backend for group in self._groups.values() for backend in group.backends))

    def __iter__(self) -> Iterator[str]:
        yield from self._groups
        yield from self._aliases

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) is not None

    def __len__(self) -> int:
        return len(self._groups) + len(self._aliases)

    def _backend(self, deployment: Deployment) -> Backend:
        one = deployment
        key = (one.account.id, one.model, one.weight, one.order, one.rpm, one.tpm, one.max_parallel_requests)
        if key not in self._backends:
            self._backends[key] = Backend.of(deployment, self.routing.health, self._lock)
        return self._backends[key]
