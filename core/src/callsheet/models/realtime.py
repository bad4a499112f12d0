"""Realtime over WebRTC: a short-lived key for the browser, the SDP exchange, hanging up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, SecretStr

from callsheet.models.base import IdKind, Model, OperationRequest, ResourceId, Result
from callsheet.models.sdp import check_answer, check_offer

__all__ = ["ExpiresAfter", "HangUp", "MintRealtimeSecret", "RealtimeCall", "RealtimeSecret", "RelaySDP"]


class ExpiresAfter(Model):
    """When an ephemeral key ends: so many seconds after its creation."""

    constants: ClassVar[frozenset[str]] = frozenset({"anchor"})
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=10, le=7200)] = 600


def _expires_after(value: object) -> object:
    return ExpiresAfter(seconds=value) if isinstance(value, int) and not isinstance(value, bool) else value


class MintRealtimeSecret(OperationRequest):
    """Make an ephemeral key with which a browser may open a session."""

    expires_after: Annotated[ExpiresAfter | None, BeforeValidator(_expires_after)] = None
    """`{"anchor": "created_at", "seconds": 10 to 7200}`, or just the seconds."""
    session: dict[str, Any] | None = None
    """A realtime or transcription session as the provider documents it; it is passed on untouched."""
    safety_identifier: str | None = None
    """A hashed id of the end user, for the provider's own checks."""


class RealtimeSecret(Result):
    """An ephemeral key. `value` is the secret itself; it is kept out of the repr."""

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # Some servers repeat the secret elsewhere: fields that are not known here are not shown.
        return [("expires_at", self.expires_at)]

    value: str = Field(repr=False, min_length=1)
    expires_at: int
    """Unix time in seconds."""
    session: dict[str, Any] | None = None


class RelaySDP(OperationRequest):
    """Hand an SDP offer to the provider and bring back its answer.

    With `ephemeral_key` the call is made in its name; without, with the account's own key, and `session` says what
    the session shall be. `sdp` is checked (at most 64 KiB; a WebRTC offer), and its bytes are not touched: its lines end
    in CRLF.
    """

    sdp: Annotated[bytes, BeforeValidator(check_offer)] = Field(repr=False)
    session: dict[str, Any] | None = None
    ephemeral_key: SecretStr | None = None
    webrtcfilter: bool | None = None
    """Whether only the events that a browser needs may reach it, where a provider can do that."""


class RealtimeCall(Result):
    """A call that was answered: its id, and the SDP answer for `setRemoteDescription`."""

    managed: ClassVar[dict[str, IdKind]] = {"id": "rtc"}
    id: str | None = None
    sdp: Annotated[bytes, BeforeValidator(check_answer)] = Field(repr=False)


class HangUp(OperationRequest):
    """End a call."""

    managed: ClassVar[dict[str, IdKind]] = {"call_id": "rtc"}
    call_id: ResourceId
