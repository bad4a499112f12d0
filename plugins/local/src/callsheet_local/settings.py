"""What an account of the local provider is configured with: where it keeps its files, and its rules."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from callsheet import ProviderSettings
from callsheet.data_home import data_home

__all__ = ["LocalSettings", "default_data_dir"]


def default_data_dir(
    platform: str = sys.platform, environ: Mapping[str, str] = os.environ, home: Path | None = None
) -> Path:
    """The folder that the platform has for such data."""
    return data_home(platform, environ, home) / "local"


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


class LocalSettings(ProviderSettings):
    """Settings of the local provider. All have defaults: nothing needs to be set."""

    env: ClassVar[Mapping[str, str]] = {
        "data_dir": "CALLSHEET_LOCAL_DIR",
        "workers": "CALLSHEET_LOCAL_WORKERS",
        "quota_mb": "CALLSHEET_LOCAL_QUOTA_MB",
        "keep_hours": "CALLSHEET_LOCAL_KEEP_HOURS",
        "ice": "CALLSHEET_LOCAL_ICE",
    }

    data_dir: Annotated[Path, AfterValidator(_absolute)] = Field(default_factory=default_data_dir)
    """Where the index, the characters and the videos are kept. Several processes may share it."""
    workers: int = Field(default=1, ge=1, le=4)
    """How many videos are rendered at once in this process. One already keeps two cores busy."""
    quota_mb: float = Field(default=2048, gt=0)
    """How many MB (of 1,000,000 bytes) the data directory may hold before new work is refused."""
    keep_hours: float = Field(default=24, ge=0)
    """How long a completed video's bytes are kept. Characters are kept for ever."""

    tokens_per_second: float = Field(default=60, ge=0, le=10_000)
    """How fast scribe-1 tells streams and works in the background; 0 means all at once. Other answers come at once."""
    keep_responses_hours: float = Field(default=720, gt=0)
    """How long responses are kept."""
    keep_responses_mb: float = Field(default=256, gt=0)
    """How many MB of responses are kept: beyond that the oldest are removed."""

    ice: Literal["all", "loopback"] = "all"
    """Where realtime calls can be reached: at 127.0.0.1 and the host's addresses, or at 127.0.0.1 alone."""
    max_sessions: int = Field(default=10, ge=1, le=10)
    """How many realtime sessions may be open at once in this process."""
    session_minutes: float = Field(default=60, gt=0, le=1440)
    """How long a realtime session may last."""

    clip_min_seconds: float = Field(default=2, gt=0)
    clip_max_seconds: float = Field(default=4, gt=0)
    clip_tolerance_seconds: float = Field(default=0.05, ge=0)
    """Containers round a clip's length to whole frames and audio packets: this much over or under is let pass."""
    clip_aspect_tolerance: float = Field(default=0.02, ge=0, lt=0.2)
    """How far a clip may be from 16:9, 9:16 or 1:1, as a fraction."""
    clip_min_side: int = Field(default=720, gt=0)
    """The smallest short side of a character's clip, in pixels."""
    clip_max_side: int = Field(default=1080, gt=0)
    """The largest short side of a character's clip, in pixels."""
    clip_max_mb: float = Field(default=100, gt=0)
    """The most that an uploaded clip or video may weigh."""

    size_min: int = Field(default=64, ge=32)
    """The smallest side that is rendered, in pixels. Sides must be even: H.264's colour planes are half as wide."""
    size_max: int = Field(default=1920, le=4096)
    """The largest side that is rendered, in pixels."""
    max_seconds: int = Field(default=20, ge=1)
    """The longest video, and the longest extension."""
    max_total_seconds: int = Field(default=120, ge=1)
    """The longest extended video, and the longest video that may be uploaded to be edited."""

    @field_validator("base_url")
    @classmethod
    def _no_address(cls, value: str | None) -> str | None:
        if value is not None:
            raise ValueError(
                "this provider is on this machine and has no address; to call a server, name the provider that speaks to it"
            )
        return value

    @model_validator(mode="after")
    def _ordered(self) -> LocalSettings:
        for low, high in (
            ("clip_min_seconds", "clip_max_seconds"),
            ("clip_min_side", "clip_max_side"),
            ("size_min", "size_max"),
            ("max_seconds", "max_total_seconds"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must not be greater than {high}")
        return self
