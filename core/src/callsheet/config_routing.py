"""The `routing` of a configuration: how deployments are chosen, and what happens when one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from callsheet.config_values import Place, resolved
from callsheet.routing.health import HealthPolicy
from callsheet.routing.models import Models
from callsheet.routing.policy import RETRY_KINDS, STRATEGIES, Fallbacks, Routing

__all__ = ["check_names", "routing_of"]

_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_KEYS = (
    "strategy", *_FALLBACKS, "default_fallbacks", "retries", "retry_policy", "model_retry_policy",
    "allowed_fails", "cooldown_seconds",
)  # fmt: skip


def routing_of(place: Place, entries: object, environ: Mapping[str, str]) -> Routing:
    """What a configuration says of routing. ConfigurationError for what can't be meant."""
    values = place.mapping(entries)
    place.known(values, _KEYS)
    given = {name: resolved(value, place.key(name), environ) for name, value in values.items() if value is not None}

    def read(name: str, how: Callable[[Any, Place], Any], default: Any) -> Any:
        return how(given[name], place.key(name)) if name in given else default

    plain, health = Routing(), HealthPolicy()
    others = read("default_fallbacks", _names, ())
    return Routing(
        strategy=read("strategy", _strategy, plain.strategy),
        fallbacks=Fallbacks(read("fallbacks", _by_name, {}), others),
        context_window=Fallbacks(read("context_window_fallbacks", _by_name, {})),
        content_policy=Fallbacks(read("content_policy_fallbacks", _by_name, {})),
        retries=read("retries", lambda value, at: at.whole(value, 0, 2), plain.retries),
        retries_by_kind=read("retry_policy", _by_kind, {}),
        retries_by_model=read("model_retry_policy", _by_model, {}),
        health=HealthPolicy(
            read("allowed_fails", lambda value, at: at.whole(value, 1, 1000), health.allowed_fails),
            read("cooldown_seconds", lambda value, at: at.number(value, 0, 3600), health.cooldown),
        ),
    )


def check_names(models: Models, place: Place) -> None:
    """Refuse routing that speaks of models which are not there."""
    routing = models.routing
    by_key = zip(_FALLBACKS, (routing.fallbacks, routing.context_window, routing.content_policy), strict=True)
    for key, fallbacks in by_key:
        for name in _said(fallbacks):
            if name not in models or ("*" in name and name in fallbacks.names):
                where = place.key("default_fallbacks" if name in routing.fallbacks.others else key)
                raise where.error("it names a model that is not there")
    for name in routing.retries_by_model:
        if name not in models:
            raise place.key("model_retry_policy").error("it names a model that is not there")


def _said(fallbacks: Fallbacks) -> Iterator[str]:
    yield from fallbacks.of
    yield from fallbacks.names


def _strategy(value: object, place: Place) -> str:
    if (strategy := place.text(value, "a strategy")) not in STRATEGIES:
        raise place.error(f"there is no such strategy; there are: {', '.join(STRATEGIES)}")
    return strategy


def _names(value: object, place: Place) -> tuple[str, ...]:
    names = place.entries([value] if isinstance(value, str) else value, "a list of model names")
    return tuple(place.entry(number).text(name, "a model's name") for number, name in enumerate(names))


def _by_name(value: object, place: Place) -> dict[str, tuple[str, ...]]:
    entries = place.mapping(value, "a mapping of a model's name to a list of others")
    return {name: _names(names, place.named(str(name), number)) for number, (name, names) in enumerate(entries.items())}


def _by_kind(value: object, place: Place) -> dict[str, int]:
    entries = place.mapping(value, "a mapping of kinds of errors to numbers of retries")
    place.known(entries, RETRY_KINDS)
    return {kind: place.key(kind).whole(number, 0, 2) for kind, number in entries.items()}


def _by_model(value: object, place: Place) -> dict[str, dict[str, int]]:
    entries = place.mapping(value, "a mapping of a model's name to a retry policy")
    return {
        name: _by_kind(policy, place.named(str(name), number)) for number, (name, policy) in enumerate(entries.items())
    }
