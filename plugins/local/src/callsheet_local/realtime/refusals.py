"""What is said of offers that can't be answered, and of calls that are not there."""

from __future__ import annotations

from callsheet import APIConnectionError, BadRequestError, NotFoundError

__all__ = ["given_up", "no_call", "refusal", "was_closed"]


def refusal(reason: str) -> BadRequestError:
    """For an offer. It is not quoted itself: passwords are in it."""
    return BadRequestError(
        f"the SDP offer can't be used: {reason}. Send what RTCPeerConnection.createOffer() gave, unchanged,"
        " as application/sdp",
        code="invalid_sdp_offer",
        param="sdp",
    )


def no_call(id: str) -> NotFoundError:
    """For a call that nobody here knows."""
    return NotFoundError(
        f"there is no call {id!r:.60} in progress here: it has ended, or another process holds it",
        code="call_not_found",
        param="call_id",
    )


def was_closed() -> APIConnectionError:
    """For an offer that came while the provider was being closed, or after that. Nothing is wrong with the offer."""
    return APIConnectionError("the local provider was closed while the call was being answered")


def given_up() -> APIConnectionError:
    """For a relay that its caller does not wait for any more. Nobody reads this."""
    return APIConnectionError("the relay was cancelled before the call was answered")
