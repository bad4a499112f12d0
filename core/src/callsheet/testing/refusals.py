"""How the fake says no."""

from __future__ import annotations

__all__ = ["Refusal", "Violation"]


class Refusal(Exception):
    """An error answer that a correct client may get: no such video, a wrong key, a job that is not ready."""

    def __init__(
        self,
        message: str,
        status: int = 400,
        *,
        param: str | None = None,
        code: str | None = None,
        type: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.code = code
        self.type = type


class Violation(Refusal):
    """A request that no correct client sends. It is refused all the same, and noted in `Wire.problems`."""
