"""What is said of offers that can't be answered, and of calls that are not there."""

from __future__ import annotations

from callsheet import BadRequestError, NotFoundError

__all__ = ["no_call", "refusal"]


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
