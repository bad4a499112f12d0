"""What a webhook says: the document as it came, with typed reads on top. `callsheet.webhooks` is where it is public."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import field, frozen

__all__ = ["RealtimeCallEvent", "ResponseEvent", "VideoEvent", "WebhookEvent", "event_of"]


@frozen(repr=False)
class WebhookEvent:
    """An event. Types that have no class of their own, new ones among them, come as this.

    `raw` is the decoded document, whole. `webhook_id` is the delivery's id, the same each time that it is sent: what to
    de-duplicate by. `timestamp` is when it was sent, in Unix seconds. A read that finds nothing, or something odd, gives
    None, "" for `type`, {} for `data`.
    """

    raw: dict[str, Any] = field(hash=False)
    webhook_id: str
    timestamp: int
    _key: ClassVar[str] = "id"
    """The field of `data` that an event of this class always has."""

    @property
    def id(self) -> str | None:
        """The event's id."""
        return _text(self.raw, "id")

    @property
    def type(self) -> str:
        """What happened, such as "batch.completed"."""
        return _text(self.raw, "type") or ""

    @property
    def created_at(self) -> int | None:
        """When it happened, in Unix seconds."""
        value = self.raw.get("created_at")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def object(self) -> str | None:
        """The word "event", from senders that say it."""
        return _text(self.raw, "object")

    @property
    def data(self) -> dict[str, Any]:
        """What it happened to: mostly no more than an id. Fetch the resource for the rest."""
        value = self.raw.get("data")
        return value if isinstance(value, dict) else {}

    @property
    def resource_id(self) -> str | None:
        """The id in `data`, the provider's own: of the batch, the fine-tuning job, the eval's run, as `type` says."""
        return _text(self.data, "id")

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(type={self.type!r}, id={self.id!r}, webhook_id={self.webhook_id!r})"


@frozen(repr=False)
class VideoEvent(WebhookEvent):
    """`video.completed` or `video.failed`."""

    @property
    def video_id(self) -> str:
        """The provider's own id: `get_video` wants `provider` with it."""
        return str(self.data["id"])


@frozen(repr=False)
class ResponseEvent(WebhookEvent):
    """`response.completed`, `.failed`, `.cancelled` or `.incomplete`."""

    @property
    def response_id(self) -> str:
        """The provider's own id: `get_response` wants `provider` with it."""
        return str(self.data["id"])


@frozen(repr=False)
class RealtimeCallEvent(WebhookEvent):
    """`realtime.call.incoming`: a call over SIP waits to be accepted."""

    _key: ClassVar[str] = "call_id"

    @property
    def call_id(self) -> str:
        """The provider's own id of the call."""
        return str(self.data["call_id"])

    @property
    def sip_headers(self) -> tuple[tuple[str, str], ...]:
        """Names and values of the INVITE in its order; a name may be there twice. The caller wrote them: trust nothing."""
        listed = self.data.get("sip_headers")
        documents = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        pairs = [(_text(one, "name"), _text(one, "value")) for one in documents]
        return tuple((name, value) for name, value in pairs if name is not None and value is not None)


_CLASSES: Mapping[str, type[WebhookEvent]] = {
    "video.completed": VideoEvent,
    "video.failed": VideoEvent,
    "response.completed": ResponseEvent,
    "response.failed": ResponseEvent,
    "response.cancelled": ResponseEvent,
    "response.incomplete": ResponseEvent,
    "realtime.call.incoming": RealtimeCallEvent,
}
"""By the whole type, not its beginning: what a `video.something` to come will be about, nobody knows."""


def event_of(raw: dict[str, Any], webhook_id: str, timestamp: int) -> WebhookEvent:
    """The event of the class for its type, if the id that this class promises is there; else a plain one."""
    event = WebhookEvent(raw, webhook_id, timestamp)
    kind = _CLASSES.get(event.type, WebhookEvent)
    return event if _text(event.data, kind._key) is None else kind(raw, webhook_id, timestamp)


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) else None
