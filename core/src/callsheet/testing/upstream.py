"""The fake vendor of OpenAI's wire: strict about requests and exact about answers.

    fake = FakeUpstream()
    with fake.serve() as url:                                  # a real server on loopback
        client = Client("acme/sora-2", api_key=FAKE_KEY, base_url=url)
    client = Client(..., transport=fake.blocking_transport())  # or without a socket, at any address
    assert not fake.problems

Another vendor of the same wire is a subclass: see the methods from `key_of` to `annotate_events`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from callsheet.testing.refusals import Violation
from callsheet.testing.route import Route
from callsheet.testing.routes import ROUTES
from callsheet.testing.seen import Seen
from callsheet.testing.wire import Wire

__all__ = ["FakeUpstream"]


class FakeUpstream(Wire):
    """All of OpenAI's routes, whatever the models are called."""

    prefix = "/v1"
    table: ClassVar[tuple[Route, ...]] = ROUTES
    poll_after: float | None = None
    """Seconds: what `openai-poll-after-ms` asks for, if anything."""

    def key_of(self, seen: Seen) -> str:
        """The credential that a request shows. Violation if it shows none, or not in this vendor's way."""
        values = seen.all("authorization")
        if seen.all("api-key") or seen.all("x-api-key"):
            raise Violation("A key came in a header that is not this vendor's.", 401, code="invalid_api_key")
        if len(values) != 1 or not values[0].startswith("Bearer ") or " " in values[0][7:] or not values[0][7:]:
            raise Violation(
                "You didn't provide an API key in an Authorization header using Bearer auth.",
                401,
                code="missing_api_key",
            )
        return values[0].removeprefix("Bearer ")

    def is_ephemeral(self, key: str) -> bool:
        """Whether a credential is of the kind that `POST /realtime/client_secrets` gives."""
        return key.startswith("ek_")

    def check_call(self, seen: Seen) -> None:
        """Which credential goes with which form at `POST /realtime/calls`: raw SDP with an ephemeral key, else a form."""
        if (seen.content_type == "application/sdp") != self.is_ephemeral(seen.key or ""):
            raise Violation("Raw SDP goes with an ephemeral key, a form with the API key.", 401, code="invalid_api_key")

    def location(self, call_id: str) -> str:
        """How the `Location` of a call is spelled."""
        return f"{self.prefix}/realtime/calls/{call_id}"

    def extra_headers(self, seen: Seen) -> Mapping[str, str]:
        """What every answer carries: the request's id, limits, and what else this vendor adds."""
        return {
            "x-request-id": f"req_{seen.number:032x}",
            "openai-organization": "org-fake",
            "openai-processing-ms": "12",
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-limit-tokens": "30000",
            "x-ratelimit-remaining-requests": "499",
            "x-ratelimit-remaining-tokens": "29976",
            "x-ratelimit-reset-requests": "120ms",
            "x-ratelimit-reset-tokens": "6m0s",
        }
