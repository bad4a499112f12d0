"""LiteLLM's settings of routing, as what the library reads under `routing`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from attrs import frozen

from callsheet.config_values import Place, resolved
from callsheet.routing.models import matches
from callsheet_gateway.configfile.litellm import ROUTING

__all__ = ["Theirs"]

_STRATEGIES = {
    "simple-shuffle": "shuffle", "least-busy": "least-busy", "latency-based-routing": "lowest-latency",
    "usage-based-routing": "least-busy", "usage-based-routing-v2": "least-busy", "cost-based-routing": "shuffle",
}  # fmt: skip
_NOT_THE_SAME = {"usage-based-routing", "usage-based-routing-v2", "cost-based-routing"}
_KINDS = {
    "AuthenticationErrorRetries": "authentication", "TimeoutErrorRetries": "timeout",
    "RateLimitErrorRetries": "rate_limit", "InternalServerErrorRetries": "server_error",
}  # fmt: skip
_NEVER = ("BadRequestErrorRetries", "ContentPolicyViolationErrorRetries")
_MOST = 2
"""Retries, whatever a file says."""
Note = Callable[[Place, str], None]


@frozen
class Theirs:
    """One reading. `names` are the models that there are; `note` takes down what is read otherwise than it was meant."""

    environ: Mapping[str, str]
    names: Collection[str]
    note: Note

    def routing(self, sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """What the sections say, in the library's words. Where both say something router_settings' word counts."""
        routing: dict[str, Any] = {}
        for section in ("litellm_settings", "router_settings"):
            place = Place().key(section)
            for key in ROUTING[section]:
                if (value := resolved(sections[section].get(key), place.key(key), self.environ)) is not None:
                    routing |= self._read(key, value, place.key(key))
        return routing

    def _read(self, key: str, value: Any, place: Place) -> dict[str, Any]:
        match key:
            case "routing_strategy":
                return {"strategy": self._strategy(value, place)}
            case "num_retries":
                return {"retries": self._retries(value, place)}
            case "retry_policy":
                return {"retry_policy": self._policy(value, place)}
            case "model_group_retry_policy":
                return {"model_retry_policy": dict(self._policies(value, place))}
            case "allowed_fails":
                return {"allowed_fails": max(1, place.whole(value, 0, 1000))}
            case "cooldown_time":
                return {"cooldown_seconds": place.number(value, 0, 3600)}
            case "disable_cooldowns":
                return {"cooldown_seconds": 0} if place.flag(value) else {}
            case "default_fallbacks":
                return {"default_fallbacks": self._several(value, place)}
            case "context_window_fallback_dict":
                return {"context_window_fallbacks": self._mapping(value, place)}
        return self._fallbacks(key, value, place)

    def _strategy(self, value: object, place: Place) -> str:
        name = place.text(value, "a strategy")
        if name not in _STRATEGIES:
            raise place.error(f"there is no such strategy; there are: {', '.join(_STRATEGIES)}")
        if name in _NOT_THE_SAME:
            self.note(place, f"is LiteLLM's: here it means {_STRATEGIES[name]}")
        return _STRATEGIES[name]

    def _retries(self, value: object, place: Place) -> int:
        number = place.whole(value, 0, 1000)
        if number > _MOST:
            self.note(place, f"counts as {_MOST}: at most 3 attempts are made")
        return min(number, _MOST)

    def _policy(self, value: object, place: Place) -> dict[str, int]:
        policy = place.mapping(value, "a mapping of kinds of errors to numbers of retries")
        place.known(policy, (*_KINDS, *_NEVER))
        for name in _NEVER:
            if policy.get(name):
                self.note(
                    place.key(name), "does nothing here: what is wrong with a request is wrong the next time, too"
                )
        kept = {kind: (policy[name], place.key(name)) for name, kind in _KINDS.items() if policy.get(name) is not None}
        return {kind: self._retries(number, where) for kind, (number, where) in kept.items()}

    def _policies(self, value: object, place: Place) -> Iterator[tuple[str, dict[str, int]]]:
        for number, (name, policy) in enumerate(place.mapping(value, "a mapping of model names to policies").items()):
            where = place.named(str(name), number)
            yield self._name(name, where), self._policy(policy, where)

    def _fallbacks(self, key: str, value: object, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, entry in enumerate(place.entries(value, "a list of mappings, each of a model's name to others,")):
            where = place.entry(number)
            for name, others in where.mapping(entry, "a mapping of a model's name to others,").items():
                if name == "*" and name not in self.names and key == "fallbacks":
                    found["default_fallbacks"] = self._several(others, where)
                else:
                    found.setdefault(key, {})[self._name(name, where)] = self._several(others, where)
        return found

    def _mapping(self, value: object, place: Place) -> dict[str, list[str]]:
        entries = place.mapping(value, "a mapping of a model's name to another")
        return {self._name(name, place): self._several(other, place) for name, other in entries.items()}

    def _several(self, value: object, place: Place) -> list[str]:
        names = [value] if isinstance(value, str) else place.entries(value, "a list of model names")
        return [self._name(name, place) for name in names]

    def _name(self, name: object, place: Place) -> str:
        text = place.text(name, "a model's name")
        if text not in self.names and all(matches(known, text) is None for known in self.names):
            raise place.error("it names a model that is not there")
        return text
