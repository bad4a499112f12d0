"""Callsheet's embedded provider: real videos with no key and no network."""

from callsheet_local.provider import LocalProvider
from callsheet_local.settings import LocalSettings

__all__ = ["LocalProvider", "LocalSettings"]
