"""OpenAI, and every server that speaks its API: set `base_url` and use any model name.

OpenAI's own Videos API is gone since 2026-09-24; compatible servers and resellers serve it still. Adapters for other
vendors of this wire derive from `OpenAIProvider` and say what differs.
"""

from callsheet_openai.provider import OpenAIProvider
from callsheet_openai.settings import OpenAISettings

__all__ = ["OpenAIProvider", "OpenAISettings"]
