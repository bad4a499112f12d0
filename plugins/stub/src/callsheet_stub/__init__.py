"""The provider that implements nothing. Copy this file to start one of your own.

1. Rename the class, and in pyproject.toml the distribution, the package and the entry point:

       [project.entry-points."callsheet.providers"]
       acme = "callsheet_acme:AcmeProvider"

2. Say in `Settings` what an account needs: a key, a base URL, whatever else.
3. Implement what your vendor can do, one hook for each operation. What you leave out is refused for you, with a
   message that names your provider and the operation.

All hooks and their models are in `callsheet.spec`. A hook looks like this:

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        reply = await io.post_json("/videos", request.wire())
        return Video.model_validate(reply.json())

`io` is your only way to the world: it adds the base URL and the key, keeps the deadline, raises what your vendor
reports as errors, and lets the same code serve sync and async programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from callsheet import Provider, ProviderSettings

__all__ = ["StubProvider", "StubSettings"]


class StubSettings(ProviderSettings):
    """What an account is configured with. `env` names the environment variables that fill fields left out."""

    # env: ClassVar[Mapping[str, str]] = {"api_key": "ACME_API_KEY", "base_url": "ACME_BASE_URL"}
    # required: ClassVar[tuple[str, ...]] = ("api_key",)
    # base_url: str | None = "https://api.acme.example/v1"


class StubProvider(Provider):
    """Offers no operation at all: every call raises UnsupportedOperation, which is a NotImplementedError."""

    Settings: ClassVar[type[ProviderSettings]] = StubSettings
    # Reports show these words beside an operation that is missing, or done in another way than one would think.
    notes: ClassVar[Mapping[str, str]] = {}
