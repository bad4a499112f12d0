"""Who is calling: the key that a request shows decides, before anything of its body is read."""

from __future__ import annotations

import hmac

from attrs import define, field, frozen
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.requests import Request

from callsheet.routing.models import matches
from callsheet_gateway.errors import Refused
from callsheet_gateway.key_limits import Caps
from callsheet_gateway.keys import Keys, VirtualKey, hash_of
from callsheet_gateway.request_record import record_of

__all__ = ["EVERYBODY", "Doorkeeper", "Principal", "let_in", "principal_of"]


@frozen
class Principal:
    """Who calls, and what he may do. `owner` is the tenant whose jobs and characters he sees; an `admin` sees all.

    `models` are the names that he may use, None for all; `key` is the id of his virtual key, and `caps` are its limits, if
    it has some.
    """

    name: str
    owner: str = ""
    models: frozenset[str] | None = None
    admin: bool = False
    key: str | None = None
    caps: Caps | None = None

    def may_use(self, model: str) -> bool:
        """Whether he may use a model of this name."""
        models = self.models
        return models is None or model in models or any(matches(one, model) for one in models if "*" in one)

    def among(self, model: str | None) -> frozenset[str] | None:
        """The models, of those that he may use, which a question for one of them is about; None for all there are."""
        if model is None:
            return self.models
        return frozenset({model} if self.may_use(model) else ())

    @classmethod
    def of(cls, key: VirtualKey) -> Principal:
        models = None if key.models is None else frozenset(key.models)
        return cls(key.name, key.owner, models, key=key.id, caps=key.caps or None)


EVERYBODY = Principal("everybody", admin=True)
"""Who calls a gateway that asks for no key."""
_MASTER = Principal("master", admin=True)


@define(eq=False)
class Doorkeeper:
    """Tells who calls by the key that is shown. Without a master key everybody may do everything."""

    keys: Keys
    master: SecretStr | None = None
    _hash: str = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._hash = hash_of(self.master.get_secret_value()) if self.master else ""

    @property
    def open(self) -> bool:
        """Whether no key is asked for."""
        return self.master is None

    def admit(self, headers: Headers) -> Principal:
        """Who sent a request with these headers. Refused (401) for no key, or one that is not good."""
        if self.master is None:
            return EVERYBODY
        if not (shown := _credential(headers)):
            raise Refused(401, "a key is wanted: send it as Authorization: Bearer KEY", "missing_api_key")
        if hmac.compare_digest(hash_of(shown), self._hash):
            return _MASTER
        if (key := self.keys.find(shown)) is None:
            raise Refused(401, "the key is wrong, disabled, or over", "invalid_api_key")
        return Principal.of(key)

    def in_the_name_of(self, key: str | None, owner: str) -> Principal:
        """Who asked for a token, by the id of his key; None stands for the master key, or no key at all.

        Refused (401) if the key is not good any more.
        """
        if key is None:
            return EVERYBODY if self.open else _MASTER
        found = self.keys.by_id(key)
        if found is None or found.owner != owner or not found.usable(self.keys.clock()):
            raise Refused(401, "the key that asked for this ephemeral key is disabled, or over", "invalid_api_key")
        return Principal.of(found)


def let_in(request: Request, principal: Principal) -> None:
    """Have a request be somebody's."""
    request.scope["state"]["principal"], record = principal, record_of(request)
    record.key, record.key_id = principal.name, principal.key


def principal_of(request: Request) -> Principal:
    """Who sent a request, as its route has found out."""
    principal: Principal = request.scope["state"]["principal"]
    return principal


def _credential(headers: Headers) -> str:
    """The key in a request's headers: as OpenAI's clients show it, or as Azure's do."""
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("api-key", "").strip()
