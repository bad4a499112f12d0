"""One configured account at one provider: its settings, its secret, and an id that stays the same."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import field, frozen
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from callsheet.errors import ConfigurationError

__all__ = ["Account", "ProviderSettings", "long_enough", "names_a_secret"]

_SECRET_HEADER = re.compile("key|token|secret|auth|cookie|password|credential", re.IGNORECASE)


def names_a_secret(header: str) -> bool:
    """Whether a header's name tells that its value is a secret."""
    return _SECRET_HEADER.search(header) is not None


def long_enough(secret: str) -> bool:
    """Whether a key is one. "x" or "none" is what a server without keys is given, and would be found everywhere."""
    return len(secret) >= 8


class ProviderSettings(BaseModel):
    """What an account at a provider is configured with. A provider subclasses this to add fields or defaults.

    `env` names the environment variable from which a field comes when it is not given; `required` the fields without
    which no call can be made: reports say which of them are not set; everything loads without them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    env: ClassVar[Mapping[str, str]] = {}
    required: ClassVar[tuple[str, ...]] = ()

    api_key: SecretStr | None = None
    base_url: str | None = None
    organization: str | None = None
    project: str | None = None
    headers: dict[str, str] = Field(default={}, repr=False)
    """Sent with every request to this account."""
    timeout: float = 600.0
    """Seconds for a whole call, retries included, until its answer (for a stream: until it begins)."""
    allow_http: bool = False
    """Whether a key may travel unencrypted, by http:// to another machine. To this one it always may."""

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        value = value.strip() if value else None
        if value and not value.lower().startswith(("http://", "https://")):
            raise ValueError(
                "an address that begins with https:// is wanted (or http://, for a server on this machine)"
            )
        return value or None

    @property
    def needs_loop(self) -> bool:
        """Whether only the async client can use it: a setting of it is an async function."""
        return False

    def secrets(self) -> list[str]:
        """The values that must never leave for another origin, nor appear in any text. See `long_enough`."""
        values = [getattr(self, name) for name in type(self).model_fields]
        keys = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        keys += [value for name, value in self.headers.items() if names_a_secret(name)]
        return [key for key in keys if long_enough(key)]


def _same_address(url: str | None) -> str | None:
    """A base URL without what does not make it another one: capitals in the host, a slash at the end."""
    if url is None:
        return None
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}".rstrip("/")


def _tag(text: str, length: int) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:length]


@frozen
class Account:
    """A provider's name, its settings, and a stable id.

    The id is the given one, else a hash of what makes the account this one: provider, base URL, organisation, project
    and the *name* of the variable that holds the secret - never the secret, never a position in a list.
    """

    provider: str
    settings: ProviderSettings
    id: str
    key_variable: str | None = field(default=None, eq=False, kw_only=True)
    """The environment variable that the key was read from, if it was: for reports."""
    tag: bytes = field(init=False, repr=False)
    """8 bytes that stand for the account in managed ids; the first 3 for the provider."""

    secrets: tuple[str, ...] = field(init=False, repr=False, eq=False)
    """What must not appear in any text: see `ProviderSettings.secrets`."""

    @secrets.default
    def _secrets_of_settings(self) -> tuple[str, ...]:
        return tuple(self.settings.secrets())

    @tag.default
    def _default_tag(self) -> bytes:
        return self.provider_tag(self.provider) + _tag(self.id, 5)

    @staticmethod
    def provider_tag(provider: str) -> bytes:
        return _tag(provider, 3)

    @classmethod
    def of(
        cls,
        provider: str,
        kind: type[ProviderSettings],
        options: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        secret_name: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Account:
        """Build the settings from options and, where those are silent, from the environment.

        `secret_name` is the variable that the key was read from, where it is not the provider's usual one. Raises
        ConfigurationError naming the field that is wrong.
        """
        environ = os.environ if environ is None else environ
        from_environment = {name: environ[variable] for name, variable in kind.env.items() if environ.get(variable)}
        given = {name: value for name, value in (options or {}).items() if value is not None}
        try:
            settings = kind(**{**from_environment, **given})
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())
            known = ", ".join(kind.model_fields)
            wrong = ConfigurationError(f"settings for provider '{provider}': {problems}. Known settings: {known}")
            wrong.at = tuple(error.errors()[0]["loc"][:1])
            raise wrong from None
        if id is None:
            facts = [
                provider,
                _same_address(settings.base_url),
                settings.organization,
                settings.project,
                secret_name or kind.env.get("api_key"),
            ]
            id = "acct_" + hashlib.sha256("\0".join(fact or "" for fact in facts).encode()).hexdigest()[:12]
        variable = secret_name or (kind.env.get("api_key") if "api_key" not in given else None)
        return cls(provider, settings, id, key_variable=variable if settings.api_key is not None else None)
