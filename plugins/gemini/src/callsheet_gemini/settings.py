"""What an account at the Gemini API is configured with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from callsheet import ProviderSettings

__all__ = ["GeminiSettings"]


class GeminiSettings(ProviderSettings):
    """Settings of a Gemini API account. The version of the API is part of the base URL."""

    env: ClassVar[Mapping[str, str]] = {
        "api_key": "GEMINI_API_KEY",
        "base_url": "GEMINI_BASE_URL",
        "data_dir": "CALLSHEET_DATA_DIR",
    }
    required: ClassVar[tuple[str, ...]] = ("api_key",)

    base_url: str | None = "https://generativelanguage.googleapis.com/v1beta"
    data_dir: Annotated[Path | None, AfterValidator(lambda path: path and path.expanduser().absolute())] = None
    """Where characters are kept. None: the platform's folder for such data."""
