"""The usual ways to show a key. A provider names one as its class attribute `auth`, or overrides `auth_headers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import frozen

__all__ = ["ApiKey", "AuthScheme", "Bearer"]


class AuthScheme(Protocol):
    """Turns a key into headers."""

    def headers(self, key: str, ephemeral: bool) -> Mapping[str, str]:
        """The headers for a key: the account's, or an ephemeral one that a request names."""


@frozen
class Bearer:
    """`Authorization: Bearer KEY`."""

    def headers(self, key: str, ephemeral: bool) -> Mapping[str, str]:  # noqa: ARG002  all keys alike
        return {"authorization": f"Bearer {key}"}


@frozen
class ApiKey:
    """The account's key in a header: `ApiKey("x-api-key")`, or with a word before it: `ApiKey("authorization", "Key ")`.

    Ephemeral keys go as bearers, as everywhere.
    """

    header: str
    prefix: str = ""

    def headers(self, key: str, ephemeral: bool) -> Mapping[str, str]:
        return Bearer().headers(key, ephemeral) if ephemeral else {self.header: f"{self.prefix}{key}"}
